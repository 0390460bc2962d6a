//! Repros: failed calls, stored with all the data needed to make them fail again.

use std::path::PathBuf;

use host_model::{Fallback, FaultKind, Layout, Role, Schema};
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::limits::SlotLimits;

/// `GET /v1/repros`: the calls that failed and are kept, newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRepros;

/// `GET /v1/repros/ID`: all about one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRepro {
    /// Its name. It becomes part of the path as it is.
    pub id: String,
}

/// A call that failed, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReproSummary {
    /// Its name, which is that of its folder: Unix milliseconds, slot, path and kind, `1767225600000-sampler-file-trap`.
    pub id: String,
    /// When it failed, Unix milliseconds.
    pub unix_ms: u64,
    /// The plugin's name, from its own bytes.
    pub name: String,
    /// Its version, from its own bytes.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The slot it was in.
    pub slot: String,
    /// Which generation of the slot it was.
    pub generation: u64,
    /// What it was called as.
    pub role: Role,
    /// The path it failed on.
    pub probe: String,
    /// The exported function that failed.
    pub step: String,
    /// What kind of fault.
    pub kind: FaultKind,
    /// In words.
    pub detail: String,
    /// Records or rows of the call.
    pub rows: u64,
    /// Bytes of its folder; the component, which it may share with others, not counted.
    pub bytes: u64,
    /// Its folder.
    #[serde(default)]
    pub folder: PathBuf,
}

/// A call that failed, with all that it takes to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repro {
    /// In short.
    #[serde(flatten)]
    pub summary: ReproSummary,
    /// The plugin's configuration.
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What it might use.
    pub limits: SlotLimits,
    /// What it might reach, in the words of a configuration.
    pub grants: Vec<String>,
    /// What became of the batch.
    pub fallback: Fallback,
    /// What it was bound to.
    pub bound_to: BoundTo,
    /// The fields that a decoder was asked for, or whose columns a batch had: indices into the schema.
    pub fields: Vec<usize>,
}

/// What a plugin was bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BoundTo {
    /// A decoder: the record of its probe.
    Layout(Layout),
    /// A sampler or an enricher: the rows in front of it.
    Schema(Schema),
}

/// What came of repeating a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rerun {
    /// Whether it failed as it did then.
    pub outcome: RerunOutcome,
    /// In words: the fault, or what was returned.
    pub detail: String,
    /// How long the call took, nanoseconds.
    pub elapsed_ns: u64,
}

/// Whether a call fails again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RerunOutcome {
    /// It failed with the same kind of fault.
    Again,
    /// It failed with another kind, told in the detail.
    Otherwise,
    /// It did not fail: the fault needs the calls before it, the host's tables or maps, or a busier machine.
    Succeeded,
    /// It was not called: it could not be compiled or bound.
    Unbound,
}

// === impl Endpoint ===

impl Endpoint for GetRepros {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/repros";
    type Answer = Vec<ReproSummary>;
}

impl Endpoint for GetRepro {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/repros/{id}";
    type Answer = Repro;

    fn target(&self) -> String {
        Self::PATH.replace("{id}", &self.id)
    }
}
