//! The path of an event, on a thread of its own: source, decoder, metrics, sampler, enrichers, sink.
//!
//! A [`Blueprint`] holds the parts of a path, [`start`] builds it, [`Running`] is the handle: ask for the ledger, switch a plugin between
//! two batches, try a candidate beside it, stop. The crate knows the traits in `host-model` and nothing behind them: no kernel, no
//! wasmtime, no network, and no layout of a record.

#![forbid(unsafe_code)]

mod binding;
mod blueprint;
mod columns;
mod command;
mod fault_marks;
mod metrics;
mod stages;
mod raw;
mod running;
mod sampling;
mod shadow;
mod switch;
mod worker;

pub use blueprint::{BatchLimits, Blueprint, Stages, StartError};
pub use command::Counted;
pub use running::{Running, start};
pub use shadow::{Candidate, Shadow, ShadowError};
pub use switch::{Change, Handover, Outcome, SwitchError, Switched};
