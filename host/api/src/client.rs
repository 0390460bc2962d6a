//! The other end of the control socket, for the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::error::{Refusal, Refused};
use crate::generation::SlotGeneration;
use crate::plugin::{Live, LoadPlugin, RollbackPlugin, UnloadPlugin};
use crate::probe::{LoadProbe, UnloadProbe};
use crate::repro::{Repro, ReproSummary};
use crate::requests::Request as Counted;
use crate::shadow::{ShadowOf, ShadowPlugin, ShadowStatus};
use crate::slot::Slot;
use crate::status::{FinalReport, PluginOnPath, Status};

/// Speaks to a daemon. One connection per call.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers at {}: {source}", socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The daemon said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It took too long.
    #[error("the daemon at {} did not answer within {} s", socket.display(), timeout.as_secs())]
    Timeout {
        /// The socket.
        socket: PathBuf,
        /// How long was waited.
        timeout: Duration,
    },
    /// What came back is not an answer.
    #[error("the daemon at {} gave no proper answer: {reason}", socket.display())]
    Garbled {
        /// The socket.
        socket: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Compiling a large component on a busy machine is what takes longest.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes an answer may have: 4096 swaps and a few hundred plugins take less than 2 MiB.
const MAX_ANSWER: usize = 16 << 20;

// === impl Client ===

impl Client {
    /// A client of the daemon at this socket. Nothing is opened yet.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the daemon is doing.
    ///
    /// # Errors
    /// See [`ClientError`]; so for every call.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// The requests that were counted, the most frequent first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn requests(&self) -> Result<Vec<Counted>, ClientError> {
        self.get("/v1/requests").await
    }

    /// The plugins on their paths.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn plugins(&self) -> Result<Vec<PluginOnPath>, ClientError> {
        self.get("/v1/plugins").await
    }

    /// Loads a plugin; returns when it is live.
    ///
    /// # Errors
    /// See [`ClientError`]. The plugin before is then still live.
    pub async fn load_plugin(&self, load: &LoadPlugin) -> Result<Live, ClientError> {
        self.post("/v1/plugins/load", load).await
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn unload_plugin(&self, unload: &UnloadPlugin) -> Result<serde_json::Value, ClientError> {
        self.post("/v1/plugins/unload", unload).await
    }

    /// Makes an earlier generation live again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn rollback_plugin(&self, rollback: &RollbackPlugin) -> Result<Live, ClientError> {
        self.post("/v1/plugins/rollback", rollback).await
    }

    /// The generations of every slot, oldest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn slots(&self) -> Result<Vec<SlotGeneration>, ClientError> {
        self.get("/v1/slots").await
    }

    /// Puts a candidate into the shadow of what is live; returns when it sees batches.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn shadow_plugin(&self, shadow: &ShadowPlugin) -> Result<ShadowStatus, ClientError> {
        self.post("/v1/plugins/shadow", shadow).await
    }

    /// The candidates, those that ended and were not discarded included.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn shadows(&self) -> Result<Vec<ShadowStatus>, ClientError> {
        self.get("/v1/shadows").await
    }

    /// How the candidate of a slot compares with what is live.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn compare_plugin(&self, slot: &Slot) -> Result<ShadowStatus, ClientError> {
        self.get(&format!("/v1/plugins/compare?slot={slot}")).await
    }

    /// Makes a candidate live, whatever was promised for later.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn promote_plugin(&self, shadow: &ShadowOf) -> Result<Live, ClientError> {
        self.post("/v1/plugins/promote", shadow).await
    }

    /// Ends a shadow run and forgets its result, which is the answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn discard_plugin(&self, shadow: &ShadowOf) -> Result<ShadowStatus, ClientError> {
        self.post("/v1/plugins/discard", shadow).await
    }

    /// The calls that failed and are kept, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn repros(&self) -> Result<Vec<ReproSummary>, ClientError> {
        self.get("/v1/repros").await
    }

    /// All about one of them.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn repro(&self, id: &str) -> Result<Repro, ClientError> {
        self.get(&format!("/v1/repros/{id}")).await
    }

    /// The probes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn probes(&self) -> Result<Vec<host_model::Probe>, ClientError> {
        self.get("/v1/probes").await
    }

    /// Loads a probe; returns when it is attached.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn load_probe(&self, load: &LoadProbe) -> Result<host_model::Probe, ClientError> {
        self.post("/v1/probes/load", load).await
    }

    /// Detaches a probe and ends its path.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn unload_probe(&self, unload: &UnloadProbe) -> Result<serde_json::Value, ClientError> {
        self.post("/v1/probes/unload", unload).await
    }

    /// Ends the daemon; returns when everything is drained.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stop(&self) -> Result<FinalReport, ClientError> {
        self.post("/v1/stop", &serde_json::json!({})).await
    }

    /// `GET` of any path.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Vec::new()).await
    }

    /// `POST` to any path.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.garbled(error))?;
        self.call(Method::POST, path, body).await
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, ClientError> {
        let timeout = || ClientError::Timeout { socket: self.socket.clone(), timeout: TIMEOUT };
        let (status, answer) =
            tokio::time::timeout(TIMEOUT, self.exchange(method, path, body)).await.map_err(|_| timeout())??;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|error| self.garbled(error));
        }
        match serde_json::from_slice::<Refused>(&answer) {
            Ok(refused) => Err(ClientError::Refused(refused.error)),
            Err(_) => Err(self.garbled(format!("status {status}"))),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::NoDaemon { socket: self.socket.clone(), source })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.garbled(error))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
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
    /// What to do about it; empty if there is nothing to do.
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
