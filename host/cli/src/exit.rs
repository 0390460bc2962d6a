//! The end of the process: exit codes, and the two lines of an error.

use std::io;
use std::process::ExitCode;

use host_api::Step;

use crate::style;

/// The exit codes other than success, on which scripts rely. [`MEANINGS`] has the meaning of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The command failed, or did not find its object.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A plugin or a probe was refused; what ran before still runs.
    Refused = 3,
    /// No running host answers at the socket.
    Unreachable = 4,
    /// A privilege is missing.
    Privilege = 5,
}

/// The meaning of each exit code, as printed by `host --help` and stated in the README.
pub(crate) const MEANINGS: [(u8, &str); 6] = [
    (0, "done; also when the reader of standard output went away"),
    (
        Code::Failed as u8,
        "failed; a ledger does not balance; rows were not delivered before the end, or something hung then; a plugin failed in a \
         replay; `host doctor` found a fault; `host plugin repro run` did not see what it was to see",
    ),
    (Code::Usage as u8, "the command line or the configuration is wrong"),
    (Code::Refused as u8, "a plugin or a probe was refused; what ran before still runs"),
    (Code::Unreachable as u8, "no running host answers at the socket"),
    (Code::Privilege as u8, "a privilege is missing that the run takes, and replaying is no way out"),
];

/// Number of columns for the meanings.
const WIDTH: usize = 98;

/// Reasons why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error with its cure.
    Error {
        /// The exit code.
        code: Code,
        /// The problem.
        message: String,
        /// The cure.
        cure: Option<String>,
    },
    /// The error has already been printed; only the code is left.
    Said(Code),
    /// The reader of standard output has gone, which counts as success.
    ReaderGone,
}

/// The result of a command.
pub(crate) type Done = Result<(), Failure>;

// === impl Code ===

impl Code {
    /// Returns the exit code of a command that was refused at this step during its own work. A refusal by a running host always ends with
    /// [`Code::Refused`].
    pub(crate) const fn of(step: &Step) -> Self {
        match step {
            Step::Configure | Step::Export => Self::Usage,
            Step::Start | Step::Socket | Step::Replay | Step::Record | Step::Internal => Self::Failed,
            Step::Privilege => Self::Privilege,
            Step::Signal
            | Step::Read
            | Step::Inspect
            | Step::Grant
            | Step::Compile
            | Step::Instantiate
            | Step::Expects
            | Step::Bind
            | Step::Pin
            | Step::Slot
            | Step::Rollback
            | Step::Switch
            | Step::Route
            | Step::Shadow
            | Step::PromoteIf
            | Step::Probe
            | Step::Repro
            | Step::Requests
            | Step::Request
            | Step::Credentials
            | Step::Busy
            | Step::Stop
            | Step::Other(_) => Self::Refused,
        }
    }
}

/// Returns the meanings, a paragraph per code.
pub(crate) fn meanings() -> String {
    let mut text = String::new();
    for (code, meaning) in MEANINGS {
        let mut line = format!("  {code} ");
        for word in meaning.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                text.push_str(&line);
                text.push('\n');
                line = "    ".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

// === impl Failure ===

impl Failure {
    /// A failure that ends with this code.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Error { code, message: message.into(), cure: None }
    }

    /// Adds a cure; an empty one is ignored.
    pub(crate) fn cured_by(self, hint: impl Into<String>) -> Self {
        match (self, hint.into()) {
            (Self::Error { code, message, .. }, hint) if !hint.is_empty() => Self::Error { code, message, cure: Some(hint) },
            (other, _) => other,
        }
    }

    /// Prints the error on standard error and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Error { code, message, cure } => {
                style::error(message, cure.as_deref());
                ExitCode::from(*code as u8)
            }
            Self::Said(code) => ExitCode::from(*code as u8),
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

/// Converts an error of writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::new(Code::Failed, format!("standard output: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_gives_the_same_meanings() {
        let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        let (_, table) = readme.split_once("| code | meaning").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
        let meanings = MEANINGS.map(|(code, meaning)| vec![code.to_string(), meaning.to_owned()]);
        assert_eq!(rows, meanings);
    }

    #[test]
    fn what_a_start_is_refused_for_tells_the_exit_code() {
        for (step, code) in [
            (Step::Configure, Code::Usage),
            (Step::Socket, Code::Failed),
            (Step::Privilege, Code::Privilege),
            (Step::Grant, Code::Refused),
            (Step::Other("newer".into()), Code::Refused),
        ] {
            assert_eq!(Code::of(&step), code, "{step}");
        }
    }

    #[test]
    fn a_reader_that_went_away_is_success() {
        assert!(matches!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)), Failure::ReaderGone));
        assert!(matches!(
            Failure::from(io::Error::from(io::ErrorKind::StorageFull)),
            Failure::Error { code: Code::Failed, .. }
        ));
    }
}
