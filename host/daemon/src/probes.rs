//! Probes: which a run is to have, what privilege that takes, and how they are opened, played from a capture, and recorded.

pub mod privilege;
pub(crate) mod selection;
pub(crate) mod open;
mod replay;
pub(crate) mod recorder;
pub(crate) mod attached;
