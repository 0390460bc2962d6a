//! The fingerprint of machine code, all that it depends on beside its source: the compiler and its settings, and the processor it is meant for.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

/// SHA-256 of all that makes code of one engine unfit for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(super) [u8; 32]);

/// Feeds what is hashed to SHA-256. The hash is for names: if a new compiler of this host hashes in another way, entries are
/// not found, and nothing else.
struct Feed(Sha256);

// === impl Fingerprint ===

impl Fingerprint {
    pub(crate) fn of(engine: &wasmtime::Engine) -> Self {
        let mut feed = Feed(Sha256::new());
        // The runtime's version, the target, its features, and the settings are in it.
        engine.precompile_compatibility_hash().hash(&mut feed);
        Self(feed.0.finalize().into())
    }
}

/// The first half: enough for a name.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(16).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// === impl Feed ===

impl Hasher for Feed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks.
    fn finish(&self) -> u64 {
        0
    }
}
