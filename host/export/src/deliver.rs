//! Delivery from a queue to the collector: requests, retries, and the account of every row in them.

mod backoff;
mod body;
pub(crate) mod error;
mod grpc;
mod http;
mod outcome;
pub(crate) mod signal;
pub(crate) mod transport;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host_model::printable;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::deliver::backoff::Backoff;
use crate::deliver::outcome::Outcome;
use crate::deliver::transport::Transport;
use crate::otlp::answer::Partial;
use crate::otlp::request::{self, Resource};
use crate::queue::{self, Parcel, Queue};
use crate::status::Shared;

/// The user agent of every request.
pub(crate) const USER_AGENT: &str = concat!("host-otlp/", env!("CARGO_PKG_VERSION"));

/// Maximum number of concurrent requests of one signal: enough to fill a connection with some delay, few enough to stay in order.
const UNDER_WAY: usize = 4;
/// Maximum time of retries with a collector that answers, but always with "later". Retries with one that does not answer have no limit: the
/// queue is bounded instead.
const PATIENCE: Duration = Duration::from_secs(300);
/// Maximum bytes of a collector's message that are shown.
const MESSAGE: usize = 512;

/// The deliverer of one signal.
#[derive(Debug)]
pub(crate) struct Deliverer {
    pub queue: Arc<Queue>,
    pub transport: Transport,
    pub resource: Arc<Resource>,
    pub shared: Arc<Shared>,
    pub linger: Duration,
}

/// The reasons why a request was not accepted.
#[derive(Debug)]
enum Refusal {
    /// The collector would refuse the request again.
    Final(String),
    /// The collector may accept half of the request.
    TooLarge(String),
}

// === impl Deliverer ===

impl Deliverer {
    /// Sends until the queue is closed and empty and every request is answered. If it is dropped before that, it gives up its rows.
    ///
    /// When the exporter gives up, it ends with every request that is under way: the rows of each have been accounted for when this
    /// returns.
    pub(crate) async fn run(self) {
        let this = Arc::new(self);
        let mut under_way = JoinSet::new();
        tokio::select! {
            () = Arc::clone(&this).send_all(&mut under_way) => {}
            () = this.shared.given_up() => under_way.shutdown().await,
        }
    }

    async fn send_all(self: Arc<Self>, under_way: &mut JoinSet<()>) {
        loop {
            while under_way.len() >= UNDER_WAY {
                under_way.join_next().await;
            }
            let Some(parcels) = self.queue.next(self.linger).await else { break };
            while under_way.try_join_next().is_some() {}
            let this = Arc::clone(&self);
            under_way.spawn(async move { this.deliver(parcels).await });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Sends parcels in one request; if the collector answers that it is too large, in smaller ones, down to one item each.
    async fn deliver(&self, parcels: Vec<Parcel>) {
        let mut waiting = vec![parcels];
        while let Some(parcels) = waiting.pop() {
            let items: Vec<_> = parcels.iter().map(|parcel| (Arc::clone(&parcel.scope), parcel.bytes.clone())).collect();
            let frames = self.transport.prepare(request::assemble(&self.resource, &items)).await;
            drop(items);
            match self.send(&frames).await {
                Ok(partial) => self.settle(parcels, &partial),
                Err(Refusal::Final(reason)) => self.refuse(parcels, &reason),
                Err(Refusal::TooLarge(reason)) => match queue::halve(parcels) {
                    Ok((first, second)) => waiting.extend([second, first]),
                    Err(parcels) => {
                        let size = frames.iter().map(Bytes::len).sum::<usize>();
                        self.refuse(parcels, &format!("{reason}; one item alone takes {size} bytes"));
                    }
                },
            }
        }
    }

    /// Sends one request until it is accepted or finally refused.
    async fn send(&self, frames: &[Bytes]) -> Result<Partial, Refusal> {
        let mut backoff = Backoff::default();
        let mut answered: Option<Instant> = None;
        loop {
            let (reason, after) = match self.transport.attempt(frames).await {
                Outcome::Taken(partial) => {
                    self.shared.reached(self.transport.signal);
                    self.shared.sent(frames.iter().map(|frame| frame.len() as u64).sum());
                    return Ok(partial);
                }
                Outcome::Refused(reason) => return Err(Refusal::Final(reason)),
                Outcome::TooLarge(reason) => return Err(Refusal::TooLarge(reason)),
                Outcome::Unreachable(reason) => (reason, None),
                Outcome::Later { reason, after } => {
                    let since = *answered.get_or_insert_with(Instant::now);
                    if since.elapsed() >= PATIENCE {
                        return Err(Refusal::Final(format!("{reason}, for {} minutes", PATIENCE.as_secs() / 60)));
                    }
                    (reason, after)
                }
            };
            self.shared.retried(self.transport.signal, &reason);
            self.shared.pause(backoff.next(after)).await;
        }
    }

    /// Settles a request that the collector accepted. Rejected items are subtracted from the parcels in order: the collector does not say
    /// which.
    fn settle(&self, parcels: Vec<Parcel>, partial: &Partial) {
        let mut rejected = partial.rejected;
        if rejected > 0 || !partial.message.is_empty() {
            let message = printable(&partial.message, MESSAGE);
            self.shared.partial(self.transport.signal, rejected, &message);
        }
        for mut parcel in parcels {
            rejected -= parcel.receipt.rejected(rejected);
            parcel.receipt.exported();
        }
    }

    fn refuse(&self, parcels: Vec<Parcel>, reason: &str) {
        let rows = parcels.iter().map(|parcel| parcel.receipt.rows()).sum();
        self.shared.refused(self.transport.signal, rows, &printable(reason, MESSAGE));
        for mut parcel in parcels {
            parcel.receipt.rejected(u64::MAX);
        }
    }
}
