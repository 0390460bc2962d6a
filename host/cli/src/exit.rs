//! How the process ends: exit codes, and the two lines of an error.

use std::io;
use std::process::ExitCode;

use crate::style;

/// The exit codes. `host --help` and the README list them; scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Something failed, a ledger does not balance, rows were not delivered before the end, the doctor found a fault, or a call did not fail again.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A plugin or a probe was refused; what ran before still runs.
    Refused = 3,
    /// No running host answers at the socket.
    Unreachable = 4,
    /// A privilege is missing, and replaying was forbidden or is not what was asked for.
    Privilege = 5,
}

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
    fn a_reader_that_went_away_is_success() {
        assert!(matches!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)), Failure::ReaderGone));
        assert!(matches!(
            Failure::from(io::Error::from(io::ErrorKind::StorageFull)),
            Failure::Error { code: Code::Failed, .. }
        ));
    }
}
