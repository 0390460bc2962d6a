//! The export: kept rows and metrics as OTLP bytes to a collector, or as lines to an output; and runs of records into captures and back.
//!
//! A path's sink *plans* a schema once, encodes its rows straight from their columns, and puts the bytes into a *queue* that is bounded by
//! bytes. A *deliverer* per signal wraps waiting bytes into requests and sends them until they are accepted or refused. Every row is
//! counted in its path's delivery counters when its outcome is known, and only then.

#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "protobuf is made of them"
)]

mod settings;

mod exporter;
mod ways;
mod sink;
mod plan;
mod columns;
mod ids;
mod otlp;

mod buffer;
mod queue;
mod deliver;
mod lines;

pub mod capture;

mod status;

pub use deliver::error::TransportError;
pub use exporter::{ExportError, Exporter};
pub use lines::{ConsoleStyle, Output};
pub use settings::{
    Compression, Endpoint, Explicit, ExportSettings, LINGER, OtlpSettings, Protocol, QUEUE_BYTES, RequestLimits, SettingsError,
};
pub use status::ExportStatus;
