//! The reasons why a candidate is not compared.

use std::sync::Arc;

/// The reasons why a candidate is not compared.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// The worker has ended.
    #[error("path {0} has ended")]
    Ended(Arc<str>),
    /// The slot of the candidate has no live plugin.
    #[error("path {path}: there is nothing in slot {slot} to compare with; `host plugin list` shows what is where")]
    Alone {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
    },
    /// The slot has a candidate already.
    #[error("path {path}: slot {slot} has a shadow already; promote or discard it first")]
    Shadowed {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
    },
    /// The candidate was bound to other rows than those of its slot.
    #[error(
        "path {path}: the candidate for slot {slot} reads fields that the rows there do not have; bind it to the live schema"
    )]
    Misfit {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
    },
    /// The system did not create the candidate's thread.
    #[error("path {path}: no thread for the shadow of slot {slot}: {source}")]
    Thread {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
        /// The system's error.
        source: std::io::Error,
    },
}
