//! Requests that list, load and unload probes while events flow.

use std::collections::BTreeMap;
use std::path::PathBuf;

use host_model::Probe;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;

/// Maximum bytes of a BPF object.
pub const LARGEST_OBJECT: usize = 32 << 20;

/// `GET /v1/probes`: the probes, those that failed included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetProbes;

/// `POST /v1/probes/load`: loads a probe. It is answered when the probe is attached. With `bytes_base64`, `path` is only what
/// the object is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// `POST /v1/probes/unload`: detaches a probe and ends its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnloadProbe {
    /// The probe's name.
    pub probe: String,
}

// === impl Endpoint ===

impl Endpoint for GetProbes {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/probes";
    type Answer = Vec<Probe>;
}

impl Endpoint for LoadProbe {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/probes/load";
    type Answer = Probe;
}

impl Endpoint for UnloadProbe {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/probes/unload";
    type Answer = Probe;
}
