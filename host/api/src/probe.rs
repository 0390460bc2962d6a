//! Probes that come and go while events flow.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Bytes that a BPF object may have.
pub const LARGEST_OBJECT: usize = 32 << 20;

/// `POST /v1/probes/load`. With `bytes_base64`, `path` is only what the object is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadProbe {
    /// The name of a probe in the binary, or a BPF object: a regular file that the daemon reads, which may take five seconds.
    pub path: PathBuf,
    /// The object itself, at most 32 MiB before it was encoded: what `host probe load` sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_base64: Option<String>,
    /// The probe's name; that of the file without `.bpf.o` if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Sizes of maps.
    #[serde(default)]
    pub max_entries: BTreeMap<String, u32>,
}

/// `POST /v1/probes/unload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnloadProbe {
    /// The probe's name.
    pub probe: String,
}
