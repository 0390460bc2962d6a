//! The inspection of a component, known before it runs: role, name, version, digest, imports, signer.

use std::sync::Arc;

use host_model::{Digest, PluginId, Role, printable};

use crate::signature::PublicKey;

/// The facts in a component's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its roles; at least one.
    pub roles: Vec<Role>,
    /// Whether it decodes a protocol: then its records are those of the protocol's connections.
    pub protocol: bool,
    /// Whether it hands its state to a successor.
    pub handover: bool,
    /// Its name: from its `probe:plugin` section, else the component's own name, else `unnamed`.
    pub name: String,
    /// Its version, from the same place; `0.0.0` if it has none.
    pub version: String,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Version of the contract: that of its roles.
    pub contract: String,
    /// The interfaces it imports, as they are named in the component. Interfaces that only hold types are left out.
    pub imports: Vec<String>,
    /// The interfaces it exports.
    pub exports: Vec<String>,
    /// The key that signed it; None if it is unsigned. A component with a wrong signature is refused.
    pub signer: Option<PublicKey>,
    /// The target and source of its code, if it is a compiled plugin.
    pub compiled: Option<Compiled>,
}

/// Target and source of compiled code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The target, one of [`TARGETS`]; printable.
    pub target: String,
    /// The digest of the source component, as the compiled plugin states it; printable.
    pub source: String,
}

/// Name of a component that has none of its own.
pub(crate) const UNNAMED: &str = "unnamed";

/// Maximum length of a plugin's name, and of its version, in bytes; the rest is cut.
pub(crate) const IDENTITY: usize = 64;

// === impl Inspection ===

impl Inspection {
    /// `name@version`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Names it after its file, if it has no name of its own.
    #[must_use]
    pub fn or_named(mut self, stem: &str) -> Self {
        let stem = printable(stem, IDENTITY);
        if self.name == UNNAMED && !stem.is_empty() {
            self.name = stem;
        }
        self
    }

    /// Returns its identity in a slot.
    #[must_use]
    pub fn id(&self, slot: &str, generation: u64) -> PluginId {
        PluginId {
            slot: Arc::from(slot),
            name: Arc::from(self.name.as_str()),
            version: Arc::from(self.version.as_str()),
            digest: self.digest,
            generation,
        }
    }
}
