//! A running trunk: the probe that sees connections, its router, and the decoders that the router calls.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use host_api::PathStatus;
use host_kernel::KernelError;
use host_model::{Lock, PathCounters, Probe, ReadWriteLock, Recogniser, Source};
use host_router::{Account, RouteError, Router};

use crate::clock::millis;
use crate::error::DaemonError;
use crate::plugins::bind::{Card, Place};
use crate::probes::attached::Attached;

/// One trunk.
pub(crate) struct Trunk {
    pub(crate) place: Place,
    pub(crate) counters: Arc<PathCounters>,
    /// None once stopped.
    router: ReadWriteLock<Option<Router>>,
    /// The decoders that the router calls, by slot.
    cards: Lock<Vec<Card>>,
    attached: Lock<Attached>,
}

/// Maximum wait for the router, which answers between two runs.
const ACCOUNT_TIMEOUT: Duration = Duration::from_millis(500);

// === impl Trunk ===

impl Trunk {
    pub(crate) fn new(place: Place, counters: Arc<PathCounters>, router: Router, cards: Vec<Card>, attached: Attached) -> Self {
        Self {
            place,
            counters,
            router: ReadWriteLock::new(Some(router)),
            cards: Lock::new(cards),
            attached: Lock::new(attached),
        }
    }

    /// The name of its probe.
    pub(crate) fn name(&self) -> &str {
        &self.place.probe
    }

    /// Its probe.
    pub(crate) fn probe(&self) -> Probe {
        self.attached().probe().clone()
    }

    /// Attaches its programs.
    pub(crate) fn attach(&self) -> Result<(), KernelError> {
        self.attached().attach()
    }

    /// Whether a capture was read to its end, or the router has ended.
    pub(crate) fn finished(&self) -> bool {
        self.with(|router| Ok(router.finished())).unwrap_or(true)
    }

    /// Adds a lane for another protocol. Blocks.
    pub(crate) fn enlist(&self, recogniser: Box<dyn Recogniser>, card: Card) -> Result<Box<dyn Source>, DaemonError> {
        let lane = self.with(|router| router.enlist(recogniser))?;
        self.cards().push(card);
        Ok(lane)
    }

    /// Replaces the decoder that the router calls for its protocol. Blocks.
    pub(crate) fn amend(&self, recogniser: Box<dyn Recogniser>, card: Card) -> Result<(), DaemonError> {
        self.with(|router| router.amend(recogniser))?;
        let mut cards = self.cards();
        cards.retain(|other| other.id.slot != card.id.slot);
        cards.push(card);
        Ok(())
    }

    /// Ends the lane of a protocol. Blocks.
    pub(crate) fn dismiss(&self, protocol: &str) -> Result<(), DaemonError> {
        self.with(|router| router.dismiss(protocol))?;
        self.cards().retain(|card| *card.id.slot != *format!("decoder.{protocol}"));
        Ok(())
    }

    /// Returns the decoders that the router calls.
    pub(crate) fn asked(&self) -> Vec<Card> {
        self.cards().clone()
    }

    /// Detaches, routes the rest of the ring, and ends the lanes, so that their paths can be stopped. Blocks.
    pub(crate) fn stop(&self) {
        self.attached().detach();
        let router = self.router.write().take();
        if let Some(router) = router {
            router.stop();
        }
    }

    /// Returns its status. Blocks.
    pub(crate) fn status(&self) -> PathStatus {
        let account = self.with(|router| Ok(router.account(ACCOUNT_TIMEOUT)));
        let account = account.unwrap_or_else(|_| Account { ledger: self.counters.ledger(), ..Account::default() });
        let ended = self.finished();
        let mut cards = self.cards().clone();
        cards.sort_by(|a, b| a.id.slot.cmp(&b.id.slot));
        PathStatus {
            probe: self.name().to_owned(),
            ledger: account.ledger,
            ledger_age_ms: millis(account.age),
            plugins: cards.iter().map(|card| card.status(ended)).collect(),
            metrics_series: 0,
            trunk: None,
            connections: account.connections,
            unknown: account.unknown_ports,
        }
    }

    fn with<T>(&self, ask: impl FnOnce(&Router) -> Result<T, RouteError>) -> Result<T, RouteError> {
        let router = self.router.read();
        ask(router.as_ref().ok_or_else(|| RouteError::Ended(Arc::clone(&self.place.probe)))?)
    }

    fn cards(&self) -> MutexGuard<'_, Vec<Card>> {
        self.cards.lock()
    }

    fn attached(&self) -> MutexGuard<'_, Attached> {
        self.attached.lock()
    }
}
