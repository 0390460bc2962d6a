//! What a plugin author works with.
//!
//! A plugin is a type that implements one of the role traits, and one line that exports it:
//!
//! ```
//! use plugin_sdk::{Columns, Config, Decisions, EventSchema, Sampler};
//!
//! /// Keeps one row in eight.
//! pub struct OneInEight;
//!
//! impl Sampler for OneInEight {
//!     fn bind(_: &EventSchema, config: Config<'_>) -> Result<Self, String> {
//!         config.none()?;
//!         Ok(Self)
//!     }
//!     fn wanted(&self) -> Vec<u32> {
//!         Vec::new()
//!     }
//!     fn decide(&mut self, _: &Columns) -> Result<Decisions, String> {
//!         Ok(Decisions::all(plugin_sdk::threshold(0.125)))
//!     }
//! }
//!
//! plugin_sdk::export!(sampler: OneInEight);
//! ```
//!
//! Everything here compiles natively too, so a plugin is tested with plain `cargo test`: only what [`export!`] writes is for
//! Wasm alone. The words are those of `wit/v0.1`; the types in [`wit`] are made from it.

// What `wit_bindgen` generates names this crate by its full path, here as in plugins.
extern crate self as plugin_sdk;

pub mod wit;

// What a plugin is.
mod export;
#[doc(hidden)]
pub mod instance;
mod panic;
mod role;

// What decoders are made of.
pub mod errno;
mod flat;
mod qualified;
mod record;
mod run;
pub mod scan;
mod table;
mod text;

// What decoders of protocols are made of.
pub mod conversation;

// What all are made of.
mod columns;
mod config;
mod field;
mod hash;
mod host;

// What their tests are made of.
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use columns::Columns;
pub use config::Config;
pub use field::{ALWAYS, NEVER, threshold};
pub use flat::{Flat, Rows};
pub use hash::hashes;
pub use host::{HostTables, Lookup};
pub use record::{Bytes, Chars, Raw, Record, Rest, Tail};
#[doc(hidden)]
pub use record::{Read, Shape};
pub use role::{Decoder, Enricher, Handover, Sampler};
pub use run::Records;
pub use table::Table;
pub use text::Text;
pub use wit::{
    Column, ColumnType, Condition, Decisions, Decoded, EventSchema, Field, FieldUse, Instrument, KernelPlan, Member,
    MemberKind, Metric, RecordLayout, Rule, Sensitivity, Signal, State, Stats, Subject, Values,
};
#[doc(hidden)]
pub use wit_bindgen;
