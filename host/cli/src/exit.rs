//! How the process ends: exit codes, and the two lines of an error.

use std::io;
use std::process::ExitCode;

use host_api::Step;

use crate::style;

/// The exit codes other than success. Scripts rely on them. What each means is said in [`MEANINGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// It failed, or did not find what it was to find.
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

/// What each exit code means: `host --help` prints these words, and the README has the same.
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

/// Columns that the meanings are printed in.
const WIDTH: usize = 98;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What went wrong, and the cure.
    Error {
        /// How the process ends.
        code: Code,
        /// What is wrong.
        message: String,
        /// What to do about it.
        cure: Option<String>,
    },
    /// It has been said already; only the code is left.
    Said(Code),
    /// The reader of standard output went away. That is its right, and success.
    ReaderGone,
}

/// What commands return.
pub(crate) type Done = Result<(), Failure>;

// === impl Code ===

impl Code {
    /// How a command ends that was refused at this step while it started something by itself. What a running host refuses ends with
    /// [`Code::Refused`], whatever the step.
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

/// The meanings, a code a paragraph.
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

    /// The same with its cure; an empty one is none.
    pub(crate) fn cured_by(self, hint: impl Into<String>) -> Self {
        match (self, hint.into()) {
            (Self::Error { code, message, .. }, hint) if !hint.is_empty() => Self::Error { code, message, cure: Some(hint) },
            (other, _) => other,
        }
    }

    /// Says it on standard error and gives the exit code.
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

/// What standard output answers.
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
