//! The control socket's language: all that may be said to a running host, and the client that says it.
//!
//! It is HTTP and JSON. The names of the JSON are a contract with scripts.
//!
//! ```no_run
//! # async fn example() -> Result<(), host_api::ClientError> {
//! use host_api::{Client, default_socket};
//!
//! let status = Client::new(default_socket()).status().await?;
//! println!("balanced: {}", status.balanced);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod client;
mod socket;

mod status;
mod requests;
mod plugin;
mod generation;
mod shadow;
mod probe;
mod repro;

mod condition;
mod limits;
mod slot;
mod error;

pub use client::{Client, ClientError};
pub use condition::{Condition, ConditionError};
pub use error::{Refusal, Refused};
pub use generation::SlotGeneration;
pub use limits::{SlotDeadlines, SlotLimits, SlotQuarantine};
pub use plugin::{Live, LoadPlugin, OnFaults, RollbackPlugin, UnloadPlugin, base64};
pub use probe::{LARGEST_OBJECT, LoadProbe, UnloadProbe};
pub use repro::{BoundTo, Repro, ReproSummary, Rerun, RerunOutcome};
pub use requests::{OTHERS, Request};
pub use shadow::{ShadowOf, ShadowPlugin, ShadowState, ShadowStatus};
pub use slot::{NotASlot, Slot, is_name};
pub use socket::default_socket;
pub use status::{
    Cause, ExportStatus, FinalReport, MAX_SWAPS, Origin, PathStatus, PluginOnPath, PluginState, PluginStatus, ProcessStatus,
    Status, Swap,
};
