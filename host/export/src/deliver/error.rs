//! Why there is no way to a collector; and the files that a way to it takes.

use std::path::{Path, PathBuf};

use crate::deliver::outcome::causes;

/// Why there is no way to a collector. Found at start, never later.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A certificate or key cannot be read.
    #[error("cannot read {path}: {reason}; name a PEM file that this user may read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file holds no usable certificate or key.
    #[error("{path} is no use for TLS: {reason}; it must hold PEM")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A header that HTTP does not allow.
    #[error("header {0:?} cannot be sent; a name is letters, digits and dashes, a value printable ASCII")]
    Header(String),
    /// The client could not be built.
    #[error("the OTLP client cannot be built: {0}; check endpoint and certificates")]
    Client(String),
}

// === impl TransportError ===

impl TransportError {
    pub(crate) fn tls(path: &Path, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Tls { path: path.to_owned(), reason: causes(error) }
    }
}

/// Reads a certificate or a key.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|reason| TransportError::File { path: path.to_owned(), reason })
}
