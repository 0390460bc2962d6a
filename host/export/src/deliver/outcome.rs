//! The outcome of one attempt.

use std::time::Duration;

use crate::otlp::answer::Partial;

/// The outcome of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The collector took it, perhaps not all of it.
    Taken(Partial),
    /// It refused, and would again.
    Refused(String),
    /// It refused because the request was too large: less at once may be taken.
    TooLarge(String),
    /// It answered that it cannot now.
    Later {
        /// In its words.
        reason: String,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
    /// There was no answer.
    Unreachable(String),
}

/// An error with what caused it: the cause is what helps ("connection refused"), and errors of HTTP clients hide it.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
