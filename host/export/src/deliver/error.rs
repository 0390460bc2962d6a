//! The reasons why a transport to a collector cannot be built; and reading the files that it needs.

use std::path::{Path, PathBuf};

use crate::deliver::outcome::causes;

/// The reasons why a transport to a collector cannot be built. Found at start, never later.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A certificate or key cannot be read.
    #[error("cannot read {path}: {reason}; name a PEM file that this user may read")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: std::io::Error,
    },
    /// A file holds no usable certificate or key.
    #[error("{path} is no use for TLS: {reason}; it must hold PEM")]
    Tls {
        /// The file.
        path: PathBuf,
        /// The error in it.
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

/// Reads the file of a certificate or a key.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|reason| TransportError::File { path: path.to_owned(), reason })
}
