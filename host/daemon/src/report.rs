//! Data that the host sends out: rows and metrics, its own telemetry, and figures of its process.

pub(crate) mod export;
pub(crate) mod telemetry;
pub(crate) mod requests;
pub(crate) mod process;
