//! The protocol of the control socket: every request to a running host, its answer, and the client.
//!
//! It is HTTP and JSON. The names of the JSON are a contract with scripts.
//!
//! ```no_run
//! # async fn example() -> Result<(), host_api::ClientError> {
//! use host_api::{Client, GetStatus, default_socket};
//!
//! let status = Client::new(default_socket()).call(&GetStatus).await?;
//! println!("balanced: {}", status.balanced);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod client;
mod socket;
mod catalog;
mod endpoint;

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
mod step;

pub use catalog::{Described, ENDPOINTS, description};
pub use client::{Client, ClientError};
pub use condition::{Condition, ConditionError};
pub use endpoint::Endpoint;
pub use error::{Refusal, Refused};
pub use generation::{GetSlots, SlotGeneration};
pub use limits::{SlotDeadlines, SlotLimits, SlotQuarantine};
pub use plugin::{Live, LoadPlugin, OnFaults, RollbackPlugin, UnloadPlugin, base64};
pub use probe::{GetProbes, LARGEST_OBJECT, LoadProbe, UnloadProbe};
pub use repro::{BoundTo, GetRepro, GetRepros, Repro, ReproSummary, Rerun, RerunOutcome};
pub use requests::{GetRequests, OTHERS, Request};
pub use shadow::{ComparePlugin, DiscardPlugin, GetShadows, PromotePlugin, ShadowPlugin, ShadowState, ShadowStatus};
pub use slot::{NotASlot, Slot, is_name};
pub use socket::default_socket;
pub use status::{
    Cause, ExportStatus, FinalReport, GetPlugins, GetStatus, MAX_SWAPS, Origin, PathStatus, PluginOnPath, PluginState,
    PluginStatus, ProcessStatus, Status, Stop, Swap,
};
pub use step::Step;
