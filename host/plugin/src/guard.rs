//! The one door to a plugin: every call is timed, counted and checked here; a dead instance is built again before the next
//! call, and one that fails again and again is left alone for a while.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{CallStats, Fallback, Fault, FaultKind, PluginId, State};
use wasmtime::Store;

use crate::backoff::Backoff;
use crate::breach::Breach;
use crate::imports::Imports;
use crate::instance::{Blueprint, Instance, Role, explain};
use crate::limits::Deadlines;
use crate::refusal::PluginError;
use crate::text::printable;
use crate::version::v0_1::exports::probe::plugin::handover::StateParam;

/// A plugin on one path.
pub(crate) struct Guard<R: Role> {
    blueprint: Blueprint<R>,
    bound: R::Bound,
    /// None after a trap.
    live: Option<Instance<R::Guest>>,
    backoff: Backoff,
}

/// A call on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Decode,
    /// For rows of the last `Decode`, which the same instance must have made.
    Complete,
    Decide,
    Tune,
    Enrich,
}

/// What a guest answers: its result, or an error of its own.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, String>>;

// === impl Guard ===

impl<R: Role> Guard<R> {
    /// Builds the first instance.
    ///
    /// # Errors
    /// The step of the load that failed.
    pub(crate) fn start(blueprint: Blueprint<R>) -> Result<Self, PluginError> {
        let (instance, bound) = blueprint.build().map_err(|failed| failed.refuse(&blueprint.id))?;
        Ok(Self { blueprint, bound, live: Some(instance), backoff: Backoff::default() })
    }

    pub(crate) fn id(&self) -> &PluginId {
        &self.blueprint.id
    }

    pub(crate) fn stats(&self) -> &Arc<CallStats> {
        &self.blueprint.stats
    }

    /// What `bind` answered.
    pub(crate) fn bound(&self) -> &R::Bound {
        &self.bound
    }

    /// What happens to a batch that it failed on.
    pub(crate) fn fallback(&self) -> Fallback {
        self.blueprint.setup.fallback
    }

    /// The most rows that one call may return.
    pub(crate) fn output_rows(&self) -> usize {
        self.blueprint.setup.limits.output_rows
    }

    /// Calls an exported function with `rows` rows, and checks what it returns.
    ///
    /// # Errors
    /// The fault, counted. After a trap the next call builds the instance again.
    pub(crate) fn call<Raw, T>(
        &mut self,
        kind: Call,
        rows: usize,
        call: impl FnOnce(&mut Store<Imports>, &R::Guest) -> Answer<Raw>,
        check: impl FnOnce(Raw, &R::Bound) -> Result<T, Breach>,
    ) -> Result<T, Fault> {
        let step = kind.step();
        self.ready(step)?;
        let start = Instant::now();
        let answer = self.enter(step, kind.deadline(&self.blueprint.setup.limits.deadlines), |instance| {
            let Instance { store, guest, .. } = instance;
            call(store, guest)
        });
        let answer = match answer {
            Ok(raw) => check(raw, &self.bound).map_err(|breach| self.breach(step, &breach)),
            Err(fault) => Err(fault),
        };
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.blueprint.stats.record(rows as u64, nanos);
        answer
    }

    /// The state for a successor; None if the plugin hands nothing over.
    pub(crate) fn export_state(&mut self) -> Result<Option<State>, Fault> {
        const STEP: &str = "export-state";
        let Some(instance) = &self.live else {
            return Err(self.fault(STEP, FaultKind::Trap, "its instance is gone after a fault, and its state with it".into()));
        };
        let Some(handover) = instance.handover.clone() else { return Ok(None) };
        let deadline = self.blueprint.setup.limits.deadlines.handover;
        let state = self.enter(STEP, deadline, |instance| handover.call_export_state(&mut instance.store))?;
        Ok(Some(State { version: state.version, bytes: state.bytes }))
    }

    /// Takes a predecessor's state. False if the plugin takes none.
    pub(crate) fn import_state(&mut self, state: &State) -> Result<bool, Fault> {
        const STEP: &str = "import-state";
        self.ready(STEP)?;
        let Some(handover) = self.live.as_ref().and_then(|instance| instance.handover.clone()) else { return Ok(false) };
        let state = StateParam { version: state.version, bytes: &state.bytes };
        let deadline = self.blueprint.setup.limits.deadlines.handover;
        self.enter(STEP, deadline, |instance| handover.call_import_state(&mut instance.store, state))?;
        Ok(true)
    }

    /// Makes sure that there is an instance that may be called.
    fn ready(&mut self, step: &'static str) -> Result<(), Fault> {
        if let Some((faults, left)) = self.backoff.resting(Instant::now) {
            let detail = format!("after {faults} faults it is called again in {} ms", left.as_millis());
            return Err(self.fault(step, FaultKind::BackingOff, detail));
        }
        if self.live.is_some() {
            return Ok(());
        }
        match self.blueprint.build() {
            Ok((instance, bound)) if bound == self.bound => {
                self.live = Some(instance);
                Ok(())
            }
            Ok(_) => Err(self.breach(step, &Breach::Rebound)),
            Err(failed) => {
                let detail = format!("built again, {} failed: {}", failed.step, failed.problem);
                Err(self.count(step, failed.kind, detail))
            }
        }
    }

    /// Enters the sandbox, and sees to it that it is left in time. An error of the runtime ends the instance.
    fn enter<T>(
        &mut self,
        step: &'static str,
        deadline: Duration,
        call: impl FnOnce(&mut Instance<R::Guest>) -> Answer<T>,
    ) -> Result<T, Fault> {
        let Some(instance) = &mut self.live else {
            return Err(self.fault(step, FaultKind::Trap, "its instance is gone after a fault".into()));
        };
        self.blueprint.engine.arm(&mut instance.store, deadline);
        match call(instance) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(words)) => Err(self.fault(step, FaultKind::Refused, words)),
            Err(error) => {
                let (kind, detail) = explain(&error, &instance.store, deadline);
                self.live = None;
                self.blueprint.stats.memory_bytes.store(0, Relaxed);
                Err(self.count(step, kind, detail))
            }
        }
    }

    fn breach(&mut self, step: &'static str, breach: &Breach) -> Fault {
        let kind = if matches!(breach, Breach::TooManyRows { .. }) { FaultKind::Output } else { FaultKind::Contract };
        self.count(step, kind, breach.to_string())
    }

    /// A fault that is the plugin's own, with what follows from it.
    fn count(&mut self, step: &'static str, kind: FaultKind, detail: String) -> Fault {
        self.backoff.fault(Instant::now());
        self.fault(step, kind, detail)
    }

    /// A fault without consequences beyond being counted.
    pub(crate) fn fault(&self, step: &'static str, kind: FaultKind, detail: String) -> Fault {
        self.blueprint.stats.fault(kind);
        Fault { plugin: self.blueprint.id.clone(), step, kind, detail: printable(&detail, 512) }
    }
}

// === impl Call ===

impl Call {
    /// The exported function.
    const fn step(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Complete => "complete",
            Self::Decide => "decide",
            Self::Tune => "tune",
            Self::Enrich => "enrich",
        }
    }

    const fn deadline(self, deadlines: &Deadlines) -> Duration {
        match self {
            Self::Decode | Self::Complete => deadlines.decode,
            Self::Decide => deadlines.decide,
            Self::Tune => deadlines.tune,
            Self::Enrich => deadlines.enrich,
        }
    }
}
