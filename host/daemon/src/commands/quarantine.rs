//! Automatic rollback: replaces a quarantined plugin by the newest earlier generation of its slot that was never quarantined.
//!
//! The restored generation starts cold, because the state of a quarantined plugin is worth nothing. It goes through the same swap as every
//! other change, in turn with them. A quarantined generation is never restored automatically, so that two bad ones do not alternate.

use std::sync::Arc;
use std::time::Duration;

use host_api::{OnFaults, Refusal};
use host_model::Health;

use crate::daemon::Core;
use crate::error::DaemonError;
use crate::plugins::limits::to_slot_limits;
use crate::plugins::slots::Generation;

/// Minimum interval between two checks: a plugin in quarantine reports it with every batch.
const PAUSE: Duration = Duration::from_millis(50);

/// A generation that was quarantined on one of its paths.
struct GivenUp {
    generation: Arc<Generation>,
    why: String,
}

// === impl Core ===

impl Core {
    /// Restores earlier generations for as long as the daemon runs.
    pub(crate) async fn look_after_quarantine(self: Arc<Self>) {
        loop {
            self.parts.given_up.notified().await;
            {
                let _changes = self.changes.lock().await;
                if self.is_ending() {
                    return;
                }
                for given_up in self.given_up() {
                    self.replace(&given_up).await;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Returns the quarantined generations that are still live in their slots.
    fn given_up(&self) -> Vec<GivenUp> {
        let mut all: Vec<GivenUp> = Vec::new();
        let slots = self.state().slots.clone();
        for path in self.paths() {
            for card in path.made_of().cards.iter().filter(|card| card.stats.health() == Health::Quarantined) {
                let seen = all.iter().any(|given_up| Arc::ptr_eq(&given_up.generation, &card.generation));
                // A path that has ended keeps its plugins.
                let live = slots.live(&card.generation.slot).is_some_and(|live| Arc::ptr_eq(live, &card.generation));
                if seen || !live || card.generation.record().quarantined.is_some() {
                    continue;
                }
                let limit = to_slot_limits(&card.generation.rules.limits).quarantine;
                let limit = limit.map_or_else(|| "faults".to_owned(), |limit| limit.to_string());
                all.push(GivenUp { generation: Arc::clone(&card.generation), why: format!("{limit} on path {}", path.name()) });
            }
        }
        all
    }

    async fn replace(self: &Arc<Self>, given_up: &GivenUp) {
        let GivenUp { generation, why } = given_up;
        let (slot, label) = (&generation.slot, generation.label());
        generation.record().quarantined = Some(why.clone());
        let wanted = generation.rules.on_faults;
        let before = self.state().slots.healthy_before(generation);
        if wanted != OnFaults::Previous || before.is_empty() {
            let next = "its batches fall back until another is loaded";
            tracing::error!(%slot, plugin = label, why, on_faults = %wanted, "plugin quarantined; {next}");
            return;
        }
        tracing::error!(%slot, plugin = label, why, "plugin quarantined; an earlier generation is put back");
        for earlier in before {
            let reason = format!("quarantined: {label} had {why}");
            match self.put_back(&earlier, &reason).await {
                Ok(()) => return,
                Err(error) => {
                    let refusal = Refusal::from(error);
                    tracing::error!(%slot, plugin = earlier.label(), %refusal, "this earlier generation could not be put back");
                }
            }
        }
    }

    async fn put_back(self: &Arc<Self>, earlier: &Arc<Generation>, reason: &str) -> Result<(), DaemonError> {
        let mut next = self.state().slots.clone();
        next.put_back(earlier);
        self.swap(next, &earlier.slot, reason).await.map(drop)
    }
}
