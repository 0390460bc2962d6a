//! The history of a slot.

use host_model::Fallback;
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::limits::SlotLimits;
use crate::plugin::OnFaults;
use crate::slot::Slot;

/// `GET /v1/slots`: the generations of every slot, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetSlots;

/// One generation of a slot, as `GET /v1/slots` lists them, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotGeneration {
    /// The slot.
    pub slot: Slot,
    /// How many plugins the slot had had when this one came, it included.
    pub generation: u64,
    /// The plugin's name, from its own bytes.
    pub name: String,
    /// Its version, from its own bytes.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Whether it is the one that works; the others are kept for a rollback.
    pub live: bool,
    /// When it last went live, Unix milliseconds.
    pub since_unix_ms: u64,
    /// `healthy`, `faulty: ` and how many faults since it last went live, or `quarantined: ` and for what.
    pub health: String,
    /// What became of its predecessor's state when it last went live: `stateless`, `warm`, or `cold: ` and why; empty if there was
    /// no predecessor.
    pub handover: String,
    /// Its configuration.
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Whose valid signature is in its bytes: a name of `[signers]`, or else the public key.
    pub signer: Option<String>,
    /// What it may use.
    pub limits: SlotLimits,
    /// What it may reach, in the words of a configuration.
    pub grants: Vec<String>,
    /// What becomes of a batch that it fails on.
    pub fallback: Fallback,
    /// What is done when it is quarantined.
    pub on_faults: OnFaults,
}

impl Endpoint for GetSlots {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/slots";
    type Answer = Vec<SlotGeneration>;
}
