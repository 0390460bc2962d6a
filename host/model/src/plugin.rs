//! The identity of a plugin: role, name, version, digest, generation.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The role of a component on the path: the interface that it exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Makes rows of records.
    Decoder,
    /// Chooses the rows that are kept.
    Sampler,
    /// Adds columns to kept rows.
    Enricher,
}

/// SHA-256 of a component's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

/// The identity of a plugin, the same in logs, metrics, status and errors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PluginId {
    /// Its slot: `sampler`, `decoder.file`, `enricher.process`.
    pub slot: Arc<str>,
    /// Its name, read from its bytes.
    pub name: Arc<str>,
    /// Its version, read from its bytes.
    pub version: Arc<str>,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Number of plugins that the slot has had, including this one.
    pub generation: u64,
}

// === impl Role ===

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decoder => "decoder",
            Self::Sampler => "sampler",
            Self::Enricher => "enricher",
        })
    }
}

// === impl Digest ===

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// === impl PluginId ===

/// Formats it as `sampler-ratio@0.1.0 (sampler, generation 2)`.
impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ({}, generation {})", self.name, self.version, self.slot, self.generation)
    }
}
