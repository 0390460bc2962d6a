//! Probes: which ones a run loads, the privileges they need, and how they are opened, replayed from a capture, and recorded.

pub mod privilege;
pub(crate) mod selection;
pub(crate) mod open;
mod replay;
pub(crate) mod recorder;
pub(crate) mod attached;
