//! Test: this binary accepts every command that the documents state.

#![allow(clippy::unwrap_used, reason = "a test stops at the first wrong answer")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};

use super::Cli;

#[test]
fn every_command_in_a_document_is_one_of_the_tree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tree = Cli::command();
    tree.build();
    let (mut seen, mut wrong) = (0, Vec::new());
    for document in documents(&root) {
        let text = fs::read_to_string(&document).unwrap();
        for line in commands(&text) {
            seen += 1;
            if let Some(word) = unknown(&tree, line) {
                wrong.push(format!("{}: `{word}` of `{line}`", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "{seen} commands are not all of them");
}

#[test]
fn a_command_or_a_flag_that_is_not_there_is_found() {
    let mut tree = Cli::command();
    tree.build();
    let text =
        "`host plugin lod x` and\n    host run --prob file | jq .\n    $ host status   # where --it went\nthe `host.toml`";
    let wrong: Vec<_> = commands(text).filter_map(|line| unknown(&tree, line)).collect();
    assert_eq!(wrong, ["lod", "--prob"]);
}

/// Returns all documents of the repository.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || ["target", "dist"].contains(&name.as_ref()) {
            continue;
        }
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// Returns the commands in a document: the text that follows `host ` in backticks, or at the beginning of a line of code (in a fence, or
/// four spaces in), up to the first character that belongs to the shell.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let in_words = text.split('`').skip(1).step_by(2);
    let mut is_fenced = false;
    let code = text.lines().filter(move |line| {
        is_fenced ^= line.trim_start().starts_with("```");
        is_fenced || line.starts_with("    ")
    });
    let in_code = code.map(|line| line.trim_start()).map(|line| line.strip_prefix("$ ").unwrap_or(line));
    let lines = in_words.chain(in_code).filter_map(|line| line.strip_prefix("host "));
    // `host 0.1.0` is the first line of `host status`, not a command.
    let lines = lines.filter(|line| !line.starts_with(|first: char| first.is_ascii_digit()));
    lines.filter_map(|line| line.split(['|', '#', '&', ';', '>', '`', '\n']).next())
}

/// Returns the first word of a line that names neither a command nor a flag of it.
fn unknown<'a>(tree: &Command, line: &'a str) -> Option<&'a str> {
    let mut command = tree;
    for word in line.split_whitespace() {
        if let Some(flag) = word.strip_prefix("--") {
            let name = flag.split('=').next();
            if !command.get_arguments().any(|argument| argument.get_long() == name) {
                return Some(word);
            }
        } else if command.has_subcommands() && !word.starts_with('-') {
            match command.find_subcommand(word) {
                Some(found) => command = found,
                None => return Some(word),
            }
        }
    }
    None
}
