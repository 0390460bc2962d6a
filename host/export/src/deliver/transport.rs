//! The transport of one signal to its collector, by either protocol.

use bytes::Bytes;

use crate::deliver::body;
use crate::deliver::error::TransportError;
use crate::deliver::grpc::Grpc;
use crate::deliver::http::Http;
use crate::deliver::outcome::Outcome;
use crate::deliver::signal::Signal;
use crate::settings::{Compression, Endpoint, Protocol};

/// The transport of one signal to its collector, by either protocol.
#[derive(Debug)]
pub(crate) struct Transport {
    pub signal: Signal,
    compression: Compression,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Http(Http),
    Grpc(Box<Grpc>),
}

// === impl Transport ===

impl Transport {
    pub(crate) fn new(endpoint: &Endpoint, signal: Signal) -> Result<Self, TransportError> {
        let carrier = match endpoint.protocol {
            Protocol::Http => Carrier::Http(Http::new(endpoint)?),
            Protocol::Grpc => Carrier::Grpc(Box::new(Grpc::new(endpoint, signal)?)),
        };
        Ok(Self { signal, compression: endpoint.compression, carrier })
    }

    /// Returns the frames to send; they are compressed on a thread that may block.
    pub(crate) async fn prepare(&self, frames: Vec<Bytes>) -> Vec<Bytes> {
        match self.compression {
            Compression::None => frames,
            Compression::Gzip => {
                let gzip = move || body::gzip(&frames);
                tokio::task::spawn_blocking(gzip).await.into_iter().collect()
            }
        }
    }

    /// Sends a request once.
    pub(crate) async fn attempt(&self, frames: &[Bytes]) -> Outcome {
        match &self.carrier {
            Carrier::Http(http) => http.attempt(frames).await,
            Carrier::Grpc(grpc) => grpc.attempt(frames).await,
        }
    }
}
