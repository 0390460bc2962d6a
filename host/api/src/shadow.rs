//! Candidates in the shadow of live plugins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use host_model::Comparison;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::plugin::Live;
use crate::slot::Slot;

/// `POST /v1/plugins/shadow`: puts a candidate into the shadow of what is live. It is answered when the candidate sees batches.
/// `path` and `bytes_base64` are as of `POST /v1/plugins/load`. A candidate that is there already is replaced, which the answer
/// says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShadowPlugin {
    /// The name of a component in the binary, a file that the daemon reads, or only what `bytes_base64` is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The component itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_base64: Option<String>,
    /// The slot; inferred from the component's role and name if it is not given. It must hold a plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// The candidate's configuration; that of the slot if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<std::collections::BTreeMap<String, serde_json::Value>>")]
    pub config: Option<serde_json::Map<String, serde_json::Value>>,
    /// The share of batches that it sees, above 0 to 1.
    pub share: f64,
    /// The digest that its bytes must have: `sha256:` and 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// It is promoted by itself if this holds `after_ms` from now: `disagreement < 0.1% and faults == 0 and cost < 1.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote_if: Option<String>,
    /// Milliseconds until `promote_if` is looked at. Both or none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
}

/// `GET /v1/shadows`: the candidates, those that ended and were not discarded included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetShadows;

/// `GET /v1/plugins/compare?slot=SLOT`: how the candidate of a slot compares with what is live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparePlugin {
    /// The slot whose candidate it is.
    pub slot: Slot,
}

/// `POST /v1/plugins/promote`: makes a candidate live, whatever was promised for later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromotePlugin {
    /// The slot whose candidate it is.
    pub slot: Slot,
}

/// `POST /v1/plugins/discard`: ends a shadow run and forgets its result, which is the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardPlugin {
    /// The slot whose candidate it is.
    pub slot: Slot,
}

/// A candidate and how it compares with what is live: an entry of `GET /v1/shadows`, and `GET /v1/plugins/compare?slot=SLOT`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowStatus {
    /// The slot.
    pub slot: Slot,
    /// The candidate's name, from its own bytes.
    pub name: String,
    /// Its version, from its own bytes.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// What it is compared with: `name@version (generation)`.
    pub live: String,
    /// The share of batches that it sees.
    pub share: f64,
    /// The candidate that it took the place of, what it was doing and on how many rows; its result is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// When it began, Unix milliseconds.
    pub since_unix_ms: u64,
    /// How long it has run, or ran until it ended, milliseconds.
    pub elapsed_ms: u64,
    /// What it is doing.
    #[serde(flatten)]
    pub state: ShadowState,
    /// The sums over all paths; `cost` is the mean of the paths' medians, each weighted by the live plugin's time there.
    pub comparison: Comparison,
    /// The share of rows on which the two differ.
    pub disagreement: f64,
    /// Its 95 % confidence interval.
    pub interval: (f64, f64),
    /// The sums of each path. A path that was loaded after the candidate came is not compared.
    pub paths: BTreeMap<String, Comparison>,
    /// The condition under which it is promoted by itself.
    pub promote_if: Option<String>,
    /// Milliseconds from the begin to when the condition is looked at.
    pub after_ms: Option<u64>,
}

/// What a candidate is doing. The result of one that ended can be read until it is discarded or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "state", content = "reason")]
pub enum ShadowState {
    /// It sees the same batches as the live plugin; its results are thrown away.
    Shadowing,
    /// It became live; why.
    Promoted(String),
    /// Its condition did not hold; which part did not, and the live plugin stays.
    Kept(String),
    /// It ended without a decision; why.
    Ended(String),
}

// === impl Endpoint ===

impl Endpoint for ShadowPlugin {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/plugins/shadow";
    type Answer = ShadowStatus;
}

impl Endpoint for GetShadows {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/shadows";
    type Answer = Vec<ShadowStatus>;
}

impl Endpoint for ComparePlugin {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/plugins/compare";
    type Answer = ShadowStatus;

    fn target(&self) -> String {
        format!("{}?slot={}", Self::PATH, self.slot)
    }
}

impl Endpoint for PromotePlugin {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/plugins/promote";
    type Answer = Live;
}

impl Endpoint for DiscardPlugin {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/plugins/discard";
    type Answer = ShadowStatus;
}

// === impl ShadowPlugin ===

impl Default for ShadowPlugin {
    fn default() -> Self {
        Self {
            path: None,
            bytes_base64: None,
            slot: None,
            config: None,
            share: 1.0,
            pin: None,
            promote_if: None,
            after_ms: None,
        }
    }
}

// === impl ShadowState ===

impl std::fmt::Display for ShadowState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shadowing => f.write_str("shadowing"),
            Self::Promoted(why) => write!(f, "promoted: {why}"),
            Self::Kept(why) => write!(f, "kept: {why}"),
            Self::Ended(why) => write!(f, "ended: {why}"),
        }
    }
}
