//! Candidates in the shadow of what is live: one for each slot at the most, on every path that the slot works on.

mod sum;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_api::{Condition, ShadowState, ShadowStatus, Slot};
use host_model::Comparison;
use host_pipeline::Shadow;
use tokio::task::AbortHandle;

use crate::plugins::slots::Generation;

/// A candidate with what is known of it.
pub(crate) struct ShadowRun {
    /// Tells it from another one in the same slot later.
    pub(crate) serial: u64,
    /// Not in the slots: it gets a number when it is promoted.
    pub(crate) candidate: Arc<Generation>,
    /// The slot of the live plugin: its own, or that of all paths where its own is empty.
    pub(crate) beside: Slot,
    pub(crate) live: String,
    pub(crate) share: f64,
    /// The candidate that it took the place of.
    pub(crate) replaced: Option<String>,
    pub(crate) since_unix_ms: u64,
    pub(crate) began: Instant,
    pub(crate) promise: Option<Promise>,
    pub(crate) stage: Stage,
}

/// It is promoted by itself if the condition holds then.
pub(crate) struct Promise {
    pub(crate) condition: Condition,
    pub(crate) after: Duration,
    /// Waits until then.
    pub(crate) timer: Option<AbortHandle>,
}

/// How far a run is.
pub(crate) enum Stage {
    /// By path.
    Running(Vec<(String, Shadow)>),
    Over {
        state: ShadowState,
        paths: BTreeMap<String, Comparison>,
        elapsed: Duration,
    },
}

// === impl ShadowRun ===

impl ShadowRun {
    pub(crate) fn slot(&self) -> &Slot {
        &self.candidate.slot
    }

    /// Whether it is compared with what is in this slot.
    pub(crate) fn is_beside(&self, slot: &Slot) -> bool {
        self.beside == *slot || self.candidate.slot == *slot
    }

    /// All about it. A run whose every path has ended is over, although nobody ended it.
    pub(crate) fn status(&self) -> ShadowStatus {
        let (state, paths, elapsed) = match &self.stage {
            Stage::Over { state, paths, elapsed } => (state.clone(), paths.clone(), *elapsed),
            Stage::Running(shadows) => {
                let state = ended(shadows).map_or(ShadowState::Shadowing, ShadowState::Ended);
                (state, compared(shadows), self.began.elapsed())
            }
        };
        let comparison = sum::sum(&paths);
        let inspection = self.candidate.inspection();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        ShadowStatus {
            slot: self.slot().clone(),
            name: inspection.name.clone(),
            version: inspection.version.clone(),
            digest: inspection.digest.to_string(),
            live: self.live.clone(),
            share: self.share,
            replaced: self.replaced.clone(),
            since_unix_ms: self.since_unix_ms,
            elapsed_ms: milliseconds(elapsed),
            state,
            disagreement: comparison.disagreement(),
            interval: comparison.interval(),
            comparison,
            paths,
            promote_if: self.promise.as_ref().map(|promise| promise.condition.to_string()),
            after_ms: self.promise.as_ref().map(|promise| milliseconds(promise.after)),
        }
    }

    /// Ends it, if it has not ended yet; its result stays.
    pub(crate) fn end(&mut self, state: ShadowState) {
        if let Stage::Running(shadows) = &self.stage {
            let paths = compared(shadows);
            self.stage = Stage::Over { state, paths, elapsed: self.began.elapsed() };
        }
        if let Some(timer) = self.promise.as_mut().and_then(|promise| promise.timer.take()) {
            timer.abort();
        }
    }

    /// Says what became of one that has ended.
    pub(crate) fn decide(&mut self, decided: ShadowState) {
        if let Stage::Over { state, .. } = &mut self.stage {
            *state = decided;
        }
    }
}

impl Drop for ShadowRun {
    fn drop(&mut self) {
        self.end(ShadowState::Ended("discarded".into()));
    }
}

fn compared(shadows: &[(String, Shadow)]) -> BTreeMap<String, Comparison> {
    shadows.iter().map(|(path, shadow)| (path.clone(), shadow.comparison())).collect()
}

/// Why every path has ended; None while one goes on.
fn ended(shadows: &[(String, Shadow)]) -> Option<String> {
    let mut reasons = shadows.iter().map(|(_, shadow)| shadow.ended());
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}
