//! Captures: the runs of records that probes wrote, in a file, and the same runs as a source again.
//!
//! A capture is an Arrow IPC stream with LZ4-compressed bodies that any Arrow library reads. Its schema's metadata holds the version of the
//! format, the probes with the layouts of their records (JSON), and the offset from monotonic to Unix time. Each row is one run: the index
//! of its probe, when it was taken (CLOCK_MONOTONIC nanoseconds), its number of records, and its bytes as in the ring, headers included.

mod conductor;

mod frame;

mod reader;

mod replay;

mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use host_model::Layout;
use serde::{Deserialize, Serialize};

pub use conductor::{Conductor, Seat};
pub use reader::{CapturedRun, Reader, Runs};
pub use replay::{Pace, Replay};
pub use writer::Writer;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The keys of the schema's metadata.
const VERSION_KEY: &str = "capture.version";
const OFFSET_KEY: &str = "capture.unix_offset_ns";
const PROBES_KEY: &str = "capture.probes";

/// Maximum number of probes of a capture: the index is one byte.
const PROBES: usize = 256;
/// Maximum bytes of one run, and of one unpacked message: it bounds the allocation that a hostile file can cause.
const RUN_BYTES: usize = 32 << 20;
const MESSAGE_BYTES: usize = 64 << 20;

/// One probe of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedProbe {
    /// Its name.
    pub name: String,
    /// The layout of its records; None if its object had no BTF.
    pub layout: Option<Layout>,
}

/// The reasons why a capture cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be read or written.
    #[error("the capture cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// The file is not a capture, or its head is broken.
    #[error("this is not a capture: {0}; `host record` writes them")]
    Not(String),
    /// The version of the capture is unknown to this host.
    #[error("the capture has format version {0}, this host reads {VERSION}; record it again, or use the host that wrote it")]
    Version(String),
    /// The capture ends within a message.
    #[error("the capture ends early: {0} bytes in, within a message; what came before it is whole")]
    Truncated(u64),
    /// A message is broken.
    #[error("the capture is broken {at} bytes in: {wrong}")]
    Broken {
        /// The offset of the message.
        at: u64,
        /// The error.
        wrong: String,
    },
    /// The capture has no such probe.
    #[error("the capture has no probe `{wanted}`; it has {has}")]
    NoProbe {
        /// The probe that was requested.
        wanted: String,
        /// The probes of the capture.
        has: String,
    },
    /// A run that cannot be written.
    #[error("a run of probe {probe} cannot be captured: {wrong}")]
    Run {
        /// The index of the probe.
        probe: usize,
        /// The error.
        wrong: String,
    },
}

/// The columns of a capture.
fn columns() -> Vec<Arc<Field>> {
    let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, false));
    vec![
        field("probe", DataType::UInt8),
        field("time_ns", DataType::UInt64),
        field("records", DataType::UInt32),
        field("run", DataType::Binary),
    ]
}

fn schema(unix_offset_ns: u64, probes: &[CapturedProbe]) -> Schema {
    let probes = serde_json::to_string(probes).unwrap_or_default();
    let metadata = [(VERSION_KEY, VERSION.to_string()), (OFFSET_KEY, unix_offset_ns.to_string()), (PROBES_KEY, probes)];
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Schema::new(columns()).with_metadata(metadata)
}
