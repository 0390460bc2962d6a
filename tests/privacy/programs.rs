//! Programs: arguments and environments.

use std::process::{Command, Stdio};

use crate::Shape;

/// The ways to give a secret to a program.
const ARGUMENTS: [(&str, &[&str]); 6] = [
    ("argument", &["{}"]),
    ("argument of a flag", &["--password", "{}"]),
    ("argument in a flag", &["--password={}"]),
    ("argument in a short flag", &["-p{}"]),
    ("argument in a URL", &["postgres://u:{}@h/d"]),
    ("argument in JSON", &["{\"key\":\"{}\"}"]),
];

/// Runs a program with each secret in its arguments, and one with a secret in its environment; returns the places and the secrets.
pub(crate) fn run(first: usize) -> Vec<(&'static str, String)> {
    let mut planted = Vec::new();
    for (index, (place, arguments)) in ARGUMENTS.into_iter().enumerate() {
        let secret = Shape::Word.secret(first + index);
        let arguments = arguments.iter().map(|argument| argument.replace("{}", &secret));
        // `true` accepts any arguments.
        assert!(Command::new("true").args(arguments).stdin(Stdio::null()).status().unwrap().success());
        planted.push((place, secret));
    }
    let secret = Shape::Word.secret(first + ARGUMENTS.len());
    assert!(Command::new("true").env("API_KEY", &secret).status().unwrap().success());
    planted.push(("environment", secret));
    planted
}
