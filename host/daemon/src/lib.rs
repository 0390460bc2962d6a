//! The daemon: from a configuration to running paths, and the requests that it answers while they run.
//!
//! It composes the parts of the levels below and adds no stage of its own: it decides which probe is loaded, which component is in which
//! slot and who may request a change, and it makes the final report.
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

mod check;
mod start;
mod watchers;
mod signals;
mod daemon;
mod ending;
mod last_resort;
mod remnant;
mod state_dir;
mod record_command;
mod resident;

mod control;
mod commands;
mod paths;
mod probes;
mod plugins;
mod faults;
mod tables;
mod report;

mod clock;
mod error;

pub use crate::plugins::limits::{from_slot_limits, to_slot_limits};
pub use crate::plugins::load::meant;
pub use check::check;
pub use config::Config;
pub use daemon::Daemon;
pub use error::DaemonError;
pub use faults::repro;
pub use host_export::capture::Pace;
pub use probes::privilege;
pub use record_command::{Recorded, Recording};
pub use settings::{Input, Settings};
