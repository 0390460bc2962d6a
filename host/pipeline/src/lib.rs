//! The path of an event, on a thread of its own: source, decoder, metrics, sampler, enrichers, sink.
//!
//! A [`Blueprint`] says what a path is made of, [`start`] builds it, [`Running`] is the handle: ask for the ledger, switch
//! a plugin between two batches, try a candidate beside it, stop. Where one probe sees many protocols, a [`Router`] gives each of
//! them a path of its own. The crate knows the traits in `host-model` and nothing behind them: no kernel, no
//! wasmtime, no network.

#![forbid(unsafe_code)]

mod audit;
mod binding;
mod blueprint;
mod columns;
mod line;
mod marks;
mod metrics;
mod passage;
mod raw;
mod route;
mod running;
mod sampling;
mod shadow;
mod switch;
mod worker;

pub use blueprint::{BatchLimits, Blueprint, Stages, StartError};
pub use route::{Account, RouteError, Router, TRUNK_RECORD, Trunk, route};
pub use running::{Running, start};
pub use shadow::{Candidate, Shadow};
pub use switch::{Change, Handover, Outcome, SwitchError, Switched};
pub use worker::Counted;
