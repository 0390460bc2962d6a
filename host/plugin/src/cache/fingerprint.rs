//! The fingerprint of machine code: what it depends on beside its source, which are the compiler, its settings and the target processor.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

/// SHA-256 of everything that makes code of one engine unusable for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(super) [u8; 32]);

/// Feeds hashed bytes to SHA-256. The hash only names entries: if a new compiler of this host hashes differently, entries are not found,
/// with no other effect.
struct Feed(Sha256);

// === impl Fingerprint ===

impl Fingerprint {
    pub(crate) fn of(engine: &wasmtime::Engine) -> Self {
        let mut feed = Feed(Sha256::new());
        // Covers the runtime's version, the target, its features, and the settings.
        engine.precompile_compatibility_hash().hash(&mut feed);
        Self(feed.0.finalize().into())
    }
}

/// Prints the first half, which is enough for a file name.
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

    /// Not used: the hash is taken from the field.
    fn finish(&self) -> u64 {
        0
    }
}
