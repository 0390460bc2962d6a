//! The outcome of one attempt.

use std::time::Duration;

use crate::otlp::answer::Partial;

/// The outcome of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The collector accepted the request, perhaps only in part.
    Taken(Partial),
    /// The collector refused the request, and would again.
    Refused(String),
    /// The collector refused the request because it is too large: it may accept a smaller one.
    TooLarge(String),
    /// The collector answered that it cannot accept the request now.
    Later {
        /// The reason in its answer.
        reason: String,
        /// The delay that it asks for.
        after: Option<Duration>,
    },
    /// There was no answer.
    Unreachable(String),
}

/// Formats an error with its causes: the cause is the useful part ("connection refused"), and errors of HTTP clients hide it.
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
