//! What is told to others: rows and metrics, the host's own telemetry, and its process.

pub(crate) mod export;
pub(crate) mod telemetry;
pub(crate) mod requests;
pub(crate) mod process;
