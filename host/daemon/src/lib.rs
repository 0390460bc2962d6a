//! The daemon: from a configuration to running paths, and everything that may be asked of them while they run.
//!
//! It composes what the levels below offer and adds no stage of its own: which probe is loaded, which component is in which
//! slot, who may ask for a change, and what is true at the end.

#![forbid(unsafe_code)]

pub mod config;
pub mod control;
pub mod settings;
pub mod slot;
pub mod status;

pub use config::Config;
pub use settings::{Input, Settings};
pub use status::{FinalReport, Status};
