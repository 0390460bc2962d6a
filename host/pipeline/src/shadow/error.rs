//! Why a candidate is not compared.

use std::sync::Arc;

/// Why a candidate is not compared.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// The worker has ended.
    #[error("path {0} has ended")]
    Ended(Arc<str>),
    /// A candidate for a slot that nothing is live in.
    #[error("path {path}: there is nothing in slot {slot} to compare with; `host plugin list` shows what is where")]
    Alone {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
    },
    /// A second candidate for one slot.
    #[error("path {path}: slot {slot} has a shadow already; promote or discard it first")]
    Shadowed {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
    },
    /// A candidate that was bound to other rows than those of its slot.
    #[error(
        "path {path}: the candidate for slot {slot} reads fields that the rows there do not have; bind it to the live schema"
    )]
    Misfit {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
    },
    /// The system gave no thread to a candidate.
    #[error("path {path}: no thread for the shadow of slot {slot}: {source}")]
    Thread {
        /// The path.
        path: Arc<str>,
        /// The slot.
        slot: Arc<str>,
        /// What the system said.
        source: std::io::Error,
    },
}
