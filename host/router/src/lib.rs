//! The router: reads records of many connections, and delivers each to the path of the protocol of its connection.
//!
//! The *trunk* is the ring of a probe that sees connections. One thread reads it and delivers each record to a *lane*, which is the
//! [`Source`](host_model::Source) of a path like any other. The lane of a connection is decided by its first records: by a pinned port, by
//! the signatures that decoders declare, or by asking the decoders. Connections of an unknown protocol are counted by port, and the kernel
//! stops sending them.
//!
//! [`route`] starts the router of a [`Trunk`]; [`Router`] is its handle. The crate knows the traits in `host-model` and nothing behind
//! them: no path, no kernel, no wasmtime. `record.rs` is the one room of the host that knows `struct l7_record`.

#![forbid(unsafe_code)]

mod router;
mod command;
mod error;
mod thread;
mod dispatch;
mod questions;
mod allowance;
mod table;
mod held;
mod record;
mod lanes;
mod lane;
mod inbox;
mod unknown_ports;
mod verdicts;

pub use command::Account;
pub use error::RouteError;
pub use record::TRUNK_RECORD;
pub use router::{Router, Trunk, route};
pub use thread::RunLimits;
