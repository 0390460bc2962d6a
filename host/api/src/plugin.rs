//! Changes of slots.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::slot::Slot;
use crate::status::Swap;

/// `POST /v1/plugins/load`: loads a plugin. It is answered when the plugin is live; on a refusal the one before still is. With
/// `bytes_base64`, `path` is only what the component is called, and nothing is read; without, it is read by the daemon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoadPlugin {
    /// The name of a component in the binary, or a regular file that the daemon reads, which may take five seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The component itself, at most 64 MiB before it was encoded: what `host plugin load` sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_base64: Option<String>,
    /// The slot; inferred from the component's role and name if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The plugin's configuration. If it is not given: that of the same plugin in this slot before, unless the file says something else
    /// of the slot by now; else that of the file, if it is about this plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, serde_json::Value>>")]
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
    /// The digest that its bytes must have: `sha256:` and 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// What is live after a load or a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// The slot.
    pub slot: Slot,
    /// The plugin's name, from its own bytes.
    pub name: String,
    /// Its version, from its own bytes.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// How many plugins the slot has had, this one included.
    pub generation: u64,
    /// The longest time that a path stood still.
    pub pause_ns: u64,
    /// Rows that came out of the paths while they switched one after the other.
    pub rows_during: u64,
    /// What became of its predecessor's state: `stateless`, `warm`, or `cold: ` and why; empty if there was no predecessor.
    #[serde(default)]
    pub handover: String,
    /// The same bytes with the same configuration were live already; nothing was done.
    pub unchanged: bool,
    /// The paths that it works on.
    #[serde(default)]
    pub paths: Vec<String>,
    /// What whoever asked should know, in sentences: that these bytes were given up before, that no path runs them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `POST /v1/plugins/unload`: empties a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnloadPlugin {
    /// The slot that is to be empty.
    pub slot: Slot,
}

/// `POST /v1/plugins/rollback`: makes an earlier generation live again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackPlugin {
    /// The slot.
    pub slot: Slot,
    /// The generation to go back to; the one that was live before the live one if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// What is done about a plugin that faults again and again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFaults {
    /// It is quarantined, and the newest earlier generation that never was is put back; where there is none, as `fallback`.
    #[default]
    Previous,
    /// It is quarantined: batches fall back as its role does until somebody loads another.
    Fallback,
    /// It is never quarantined: it is tried again and again, at most every half minute.
    Off,
}

/// Encodes bytes for a request.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

// === impl Endpoint ===

impl Endpoint for LoadPlugin {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/plugins/load";
    type Answer = Live;
}

impl Endpoint for UnloadPlugin {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/plugins/unload";
    type Answer = Swap;
}

impl Endpoint for RollbackPlugin {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/plugins/rollback";
    type Answer = Live;
}

// === impl OnFaults ===

impl fmt::Display for OnFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Previous => "previous",
            Self::Fallback => "fallback",
            Self::Off => "off",
        })
    }
}
