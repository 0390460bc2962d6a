//! Candidates in the shadow of live plugins: at most one for each slot, on every path that the slot works on.

mod sum;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_api::{Condition, ShadowState, ShadowStatus, Slot};
use host_model::Comparison;
use host_pipeline::Shadow;
use tokio::task::AbortHandle;

use crate::plugins::slots::Generation;

/// A candidate and its shadow run.
pub(crate) struct ShadowRun {
    /// Distinguishes it from later runs in the same slot.
    pub(crate) serial: u64,
    /// The candidate. It is not in the slots: it gets a generation number when it is promoted.
    pub(crate) candidate: Arc<Generation>,
    /// The slot of the live plugin: the candidate's, or the one of all paths if that is empty.
    pub(crate) beside: Slot,
    pub(crate) live: String,
    pub(crate) share: f64,
    /// The candidate that it replaced.
    pub(crate) replaced: Option<String>,
    pub(crate) since_unix_ms: u64,
    pub(crate) began: Instant,
    pub(crate) promise: Option<Promise>,
    pub(crate) stage: Stage,
}

/// A condition and the time at which it is evaluated; the candidate is promoted if it holds.
pub(crate) struct Promise {
    pub(crate) condition: Condition,
    pub(crate) after: Duration,
    /// The timer of the evaluation.
    pub(crate) timer: Option<AbortHandle>,
}

/// The stage of a run.
pub(crate) enum Stage {
    /// The shadows, by path.
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

    /// Whether it is compared with the plugin in this slot.
    pub(crate) fn is_beside(&self, slot: &Slot) -> bool {
        self.beside == *slot || self.candidate.slot == *slot
    }

    /// Returns its status. A run whose every path has ended is over, even if no command ended it.
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

    /// Ends it, unless it has ended; its result stays.
    pub(crate) fn end(&mut self, state: ShadowState) {
        if let Stage::Running(shadows) = &self.stage {
            let paths = compared(shadows);
            self.stage = Stage::Over { state, paths, elapsed: self.began.elapsed() };
        }
        if let Some(timer) = self.promise.as_mut().and_then(|promise| promise.timer.take()) {
            timer.abort();
        }
    }

    /// Sets the outcome of a run that has ended.
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

/// Returns why every path has ended; None while one still runs.
fn ended(shadows: &[(String, Shadow)]) -> Option<String> {
    let mut reasons = shadows.iter().map(|(_, shadow)| shadow.ended());
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}
