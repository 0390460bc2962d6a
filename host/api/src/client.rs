//! The client of the control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::endpoint::Endpoint;
use crate::error::{Refusal, Refused};

/// Client of a daemon. Opens a connection per call.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Reasons why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No process listens on the socket.
    #[error("no daemon answers at {}: {source}", socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The daemon did not answer in time.
    #[error("the daemon at {} did not answer within {} s", socket.display(), timeout.as_secs())]
    Timeout {
        /// The socket.
        socket: PathBuf,
        /// The time waited.
        timeout: Duration,
    },
    /// The response cannot be read.
    #[error("the daemon at {} gave no proper answer: {reason}", socket.display())]
    Garbled {
        /// The socket.
        socket: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// Maximum time for an answer; compiling a large component on a busy machine takes longest.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Maximum bytes of an answer: 4096 swaps and a few hundred plugins take less than 2 MiB.
const MAX_ANSWER: usize = 16 << 20;

// === impl Client ===

impl Client {
    /// Returns a client of the daemon at this socket. Nothing is opened yet.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Returns the socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request, and returns the answer.
    ///
    /// # Errors
    /// See [`ClientError`]. A change that fails leaves everything as it was.
    pub async fn call<E: Endpoint>(&self, ask: &E) -> Result<E::Answer, ClientError> {
        self.call_as(ask).await
    }

    /// Does the same with the answer read as another type: raw JSON includes the fields that only a newer host knows.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn call_as<E: Endpoint, T: DeserializeOwned>(&self, ask: &E) -> Result<T, ClientError> {
        let body = match E::METHOD {
            Method::GET => Vec::new(),
            _ => serde_json::to_vec(ask).map_err(|error| self.garbled(error))?,
        };
        let exchange = self.exchange(E::METHOD, ask.target(), body);
        let timeout = || ClientError::Timeout { socket: self.socket.clone(), timeout: TIMEOUT };
        let (status, answer) = tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| timeout())??;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|error| self.garbled(error));
        }
        match serde_json::from_slice::<Refused>(&answer) {
            Ok(refused) => Err(ClientError::Refused(refused.error)),
            Err(_) => Err(self.garbled(format!("status {status}"))),
        }
    }

    async fn exchange(&self, method: Method, target: String, body: Vec<u8>) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::NoDaemon { socket: self.socket.clone(), source })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.garbled(error))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.garbled(error))?;
        let response = sender.send_request(request).await.map_err(|error| self.garbled(error))?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| self.garbled(error))?;
        connection.abort();
        Ok((status, answer.to_bytes()))
    }

    fn garbled(&self, reason: impl ToString) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone(), reason: reason.to_string() }
    }
}

// === impl ClientError ===

impl ClientError {
    /// Returns the cure; empty if there is none.
    #[must_use]
    pub fn cure(&self) -> &str {
        match self {
            Self::NoDaemon { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "run as the daemon's user, as root, or as a member of the socket's group"
            }
            Self::NoDaemon { .. } => "start one with `host run`, or name its socket with --socket",
            Self::Refused(refusal) => &refusal.cure,
            Self::Timeout { .. } => "see the daemon's log",
            Self::Garbled { .. } => "check that --socket names the socket of a `host` of this version",
        }
    }
}
