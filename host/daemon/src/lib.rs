//! The daemon: from a configuration to running paths, and everything that may be asked of them while they run.
//!
//! It composes what the levels below offer and adds no stage of its own: which probe is loaded, which component is in which
//! slot, who may ask for a change, and what is true at the end.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use host_daemon::{Daemon, Settings};
//!
//! let daemon = Daemon::start(Settings::default()).await?;
//! println!("ready: {} paths", daemon.status().await.paths.len());
//! daemon.wait().await;
//! let report = daemon.stop().await;
//! println!("balanced: {}", report.balanced);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod config;
pub mod settings;

mod attached;
mod bind;
mod check;
mod compiler;
pub mod limits;
mod lanes;
mod loading;
pub mod memory;
mod path;
pub mod privilege;
mod protocols;
mod record;
pub mod recording;
mod replay;
mod rules;
pub mod slot;
mod slots;
mod start;
mod trunk;
mod wanted;
mod wiring;

mod change;
mod daemon;
mod ending;
mod last_resort;
mod probing;
mod quarantine;
mod remnant;
pub mod shadow;
mod signals;
mod swap;
mod tidy;

mod faults;
mod kept;
pub mod repro;

pub mod control;
mod process;
pub mod requests;
pub mod status;
mod tables;
mod telemetry;

pub use check::check;
pub use config::Config;
pub use control::message::Refusal;
pub use daemon::Daemon;
pub use host_export::capture::Pace;
pub use loading::meant;
pub use recording::{Recorded, Recording};
pub use settings::{Input, Settings};
pub use start::CALLED_OFF;
pub use status::{FinalReport, Status};

/// What a start of the daemon, or a request to it, fails with.
pub type DaemonError = Refusal;
