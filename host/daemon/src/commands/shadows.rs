//! Commands on candidates: shadow, compare, promote, discard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_api::{
    ComparePlugin, Condition, DiscardPlugin, Live, PromotePlugin, Refusal, ShadowPlugin, ShadowState, ShadowStatus, Slot, Step,
};
use host_pipeline::{Candidate, Shadow, ShadowError};

use super::plugins::Asked;
use crate::clock::unix_ms;
use crate::daemon::{Core, State};
use crate::error::DaemonError;
use crate::paths::path::Path;
use crate::plugins::shadow::{Promise, ShadowRun, Stage};
use crate::plugins::slots::Generation;

/// The candidate and the control for one path.
struct Bound {
    path: Arc<Path>,
    candidate: Candidate,
    control: Candidate,
}

// === impl Core ===

impl Core {
    /// Puts a candidate into the shadow of the live plugin, on every path that it works on now; returns when it sees batches.
    pub(crate) async fn shadow_plugin(self: &Arc<Self>, shadow: ShadowPlugin) -> Result<ShadowStatus, DaemonError> {
        let promise = promise(&shadow)?;
        let ShadowPlugin { path, bytes_base64, slot, config, share, pin, .. } = shadow;
        if !(share > 0.0 && share <= 1.0) {
            return Err(DaemonError::new(
                Step::Shadow,
                format!("a share of {share} is none"),
                "give a share above 0 and up to 1",
            ));
        }
        let prepared = self.prepare(Asked { path, bytes_base64, slot, config, pin }).await?;
        let _changes = self.changes.lock().await;
        let slots = self.state().slots.clone();
        let candidate = Arc::new(prepared.numbered(&slots));
        let slot = candidate.slot.clone();
        // A path without a sampler of its own uses that of all paths: its candidate is compared with that one.
        let Some(live) = slots.serving(&slot).cloned() else {
            let message = format!("slot {slot} is empty: there is nothing to compare with");
            return Err(DaemonError::new(Step::Shadow, message, "`host plugin load` puts it there at once"));
        };
        let (beside, live) = (live.slot.clone(), live.label());
        self.goes_on()?;
        let (core, paths, bound, of) = (Arc::clone(self), self.paths(), Arc::clone(&candidate), beside.clone());
        let binding = move || core.bind_candidate(&paths, &bound, &of);
        let ready = tokio::task::spawn_blocking(binding).await??;
        // The earlier candidate goes only now, when the new one can no longer fail.
        let replaced = self.state().shadow(&slot).ok().map(|run| run.status());
        let replaced = replaced.map(|run| {
            let told = format!("{}@{}, {} after {} rows", run.name, run.version, run.state, run.comparison.rows);
            tracing::warn!(%slot, replaced = told, "another candidate takes its place; its result is gone");
            told
        });
        self.state().shadows.retain(|run| *run.slot() != slot);
        let starting = move || start(ready, share);
        let shadows = tokio::task::spawn_blocking(starting).await??;
        if shadows.is_empty() {
            let message = format!("slot {slot} works on no path that runs");
            return Err(DaemonError::new(Step::Shadow, message, "`host plugin list` shows what is where"));
        }
        let mut state = self.state();
        state.serial += 1;
        let mut run = ShadowRun {
            serial: state.serial,
            candidate,
            beside,
            live,
            share,
            replaced,
            since_unix_ms: unix_ms(),
            began: Instant::now(),
            promise,
            stage: Stage::Running(shadows),
        };
        self.wait_for(&mut run);
        let status = run.status();
        tracing::info!(%slot, candidate = status.name, version = status.version, live = status.live, share, "shadow run begun");
        state.shadows.push(run);
        Ok(status)
    }

    /// Returns all candidates.
    pub(crate) fn shadows(&self) -> Vec<ShadowStatus> {
        self.state().shadows.iter().map(ShadowRun::status).collect()
    }

    /// Returns the candidate of one slot.
    pub(crate) fn compare(&self, of: &ComparePlugin) -> Result<ShadowStatus, DaemonError> {
        self.state().shadow(&of.slot).map(|run| run.status())
    }

    /// Makes a candidate live, regardless of its condition.
    pub(crate) async fn promote_plugin(self: &Arc<Self>, of: PromotePlugin) -> Result<Live, DaemonError> {
        let _changes = self.changes.lock().await;
        self.promote(&of.slot, "as asked").await
    }

    /// Ends a shadow run and forgets it.
    pub(crate) async fn discard_plugin(self: &Arc<Self>, of: DiscardPlugin) -> Result<ShadowStatus, DaemonError> {
        let _changes = self.changes.lock().await;
        let mut state = self.state();
        let run = state.shadow(&of.slot)?;
        run.end(ShadowState::Ended("discarded".into()));
        let status = run.status();
        state.shadows.retain(|run| *run.slot() != of.slot);
        Ok(status)
    }

    /// Binds the candidate for each path that its slot works on, and the live plugin of slot `beside` as its control. Blocks.
    fn bind_candidate(
        &self,
        paths: &[Arc<Path>],
        candidate: &Arc<Generation>,
        beside: &Slot,
    ) -> Result<Vec<Bound>, DaemonError> {
        let mut ready = Vec::new();
        for path in paths.iter().filter(|path| candidate.slot.serves(path.name())) {
            let made_of = path.made_of();
            let card = made_of.cards.iter().find(|card| card.generation.slot == *beside);
            if let Some(card) = card {
                let bind = |plugin| self.parts.binder.candidate(&path.place, plugin, beside, &card.schema);
                ready.push(Bound { path: Arc::clone(path), candidate: bind(candidate)?, control: bind(&card.generation)? });
            }
        }
        Ok(ready)
    }

    /// Promotes a candidate. The caller must hold `changes`.
    async fn promote(self: &Arc<Self>, slot: &Slot, why: &str) -> Result<Live, DaemonError> {
        let candidate = Arc::clone(&self.state().shadow(slot)?.candidate);
        let mut next = self.state().slots.clone();
        if let Some(live) = next.live(slot)
            && live.does_the_same(&candidate)
        {
            return Ok(self.answer(live, None));
        }
        let made = Arc::new(candidate.renumbered(next.next_number(slot)));
        next.put(Arc::clone(&made));
        let swapped = self.swap(next, slot, &format!("promoted: {why}")).await?;
        if let Ok(run) = self.state().shadow(slot) {
            run.decide(ShadowState::Promoted(why.to_owned()));
        }
        Ok(self.answer(&made, Some(&swapped)))
    }

    /// Starts the timer of an automatic promotion.
    fn wait_for(self: &Arc<Self>, run: &mut ShadowRun) {
        let (slot, serial) = (run.slot().clone(), run.serial);
        let Some(promise) = &mut run.promise else { return };
        let (core, after) = (Arc::downgrade(self), promise.after);
        let waiting = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(core) = core.upgrade() {
                // A task of its own, because the run may abort its timer during the promotion.
                tokio::spawn(async move { core.keep_promise(&slot, serial).await });
            }
        });
        promise.timer = Some(waiting.abort_handle());
    }

    /// Promotes a candidate if its condition holds.
    async fn keep_promise(self: &Arc<Self>, slot: &Slot, serial: u64) {
        let _changes = self.changes.lock().await;
        let judged = {
            let mut state = self.state();
            let Ok(run) = state.shadow(slot) else { return };
            let status = run.status();
            let Some(promise) = run.promise.as_ref().filter(|_| run.serial == serial) else { return };
            match (&status.state, promise.condition.judge(&status.comparison)) {
                (ShadowState::Shadowing, Ok(held)) => Ok(held),
                (ShadowState::Shadowing, Err(why)) => {
                    run.end(ShadowState::Kept(why.clone()));
                    Err(why)
                }
                (over, _) => {
                    let over = over.clone();
                    run.end(over.clone());
                    Err(over.to_string())
                }
            }
        };
        match judged {
            Ok(held) => match self.promote(slot, &held).await {
                Ok(live) => tracing::info!(%slot, generation = live.generation, held, "the candidate was promoted"),
                Err(error) => {
                    let refusal = Refusal::from(error);
                    tracing::warn!(%slot, %refusal, "the candidate could not be promoted");
                    if let Ok(run) = self.state().shadow(slot) {
                        run.end(ShadowState::Kept(format!("{held}, but {refusal}")));
                    }
                }
            },
            Err(why) => tracing::warn!(%slot, why, "the candidate was not promoted"),
        }
    }
}

// === impl State ===

impl State {
    fn shadow(&mut self, slot: &Slot) -> Result<&mut ShadowRun, DaemonError> {
        let none = || {
            let cure = "`host plugin shadow FILE --slot SLOT` puts one there";
            DaemonError::new(Step::Shadow, format!("slot {slot} has no candidate"), cure)
        };
        self.shadows.iter_mut().find(|run| run.slot() == slot).ok_or_else(none)
    }
}

/// Starts the bound candidates. A path that has ended meanwhile, or has no plugin to compare with, is left out. Blocks.
fn start(ready: Vec<Bound>, share: f64) -> Result<Vec<(String, Shadow)>, DaemonError> {
    let mut shadows = BTreeMap::new();
    for Bound { path, candidate, control } in ready {
        match path.shadow(candidate, control, share) {
            Ok(shadow) => drop(shadows.insert(path.name().to_owned(), shadow)),
            Err(ShadowError::Ended(_) | ShadowError::Alone { .. }) => {}
            Err(error) => {
                return Err(DaemonError::Shadow(error));
            }
        }
    }
    Ok(shadows.into_iter().collect())
}

/// Returns the condition and the time of its evaluation; None if an operator is to promote the candidate.
fn promise(shadow: &ShadowPlugin) -> Result<Option<Promise>, DaemonError> {
    match (&shadow.promote_if, shadow.after_ms) {
        (None, None) => Ok(None),
        (Some(text), Some(after_ms)) => {
            let condition: Condition = text.parse().map_err(|error| {
                let shown = host_model::printable(text, 160);
                let cure = "write it as `disagreement < 0.1% and faults == 0 and cost < 1.2`";
                DaemonError::new(Step::PromoteIf, format!("`{shown}`: {error}"), cure)
            })?;
            Ok(Some(Promise { condition, after: Duration::from_millis(after_ms), timer: None }))
        }
        _ => {
            let cure = "give both, or none and promote it yourself";
            Err(DaemonError::new(
                Step::PromoteIf,
                "a condition needs the time when it is looked at, and the time a condition",
                cure,
            ))
        }
    }
}
