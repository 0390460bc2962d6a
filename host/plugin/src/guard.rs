//! Guards all calls of a plugin: every call is timed, counted and checked here; an instance that died is rebuilt before the next call, and
//! a plugin that fails again and again is not called for a while, or not any more.

mod handover;
mod recycle;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{CallStats, Fallback, Fault, FaultKind, Health, PluginId, printable};
use wasmtime::Store;

use self::recycle::Pace;
use crate::backoff::{Backoff, Standing};
use crate::breach::Breach;
use crate::imports::Imports;
use crate::instance::{Blueprint, Instance, Role, explain};
use crate::limits::{Deadlines, ERRORS_IN_A_ROW};
use crate::refusal::PluginError;

/// The plugin of one stage of a path.
pub(crate) struct Guard<R: Role> {
    blueprint: Blueprint<R>,
    bound: R::Bound,
    /// None after a trap, and in quarantine.
    live: Option<Instance<R::Guest>>,
    backoff: Backoff,
    recycling: Pace,
    /// Number of errors in a row that each function has returned as its answer, in the order of [`Call`].
    errors: [u32; Call::COUNT],
}

/// A call of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Decode,
    /// Completes rows of the last `Decode`; must be answered by the same instance.
    Complete,
    /// Asks about the last `Decode`; must also be answered by the same instance.
    Disowned,
    Recognise,
    Decide,
    Tune,
    Enrich,
}

/// The answer of a guest: its result, or an error that it returns.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, String>>;

/// Why a call did not return a valid answer.
struct Ended {
    kind: FaultKind,
    detail: String,
}

/// Maximum time of `recognise`, which runs on a thread that all protocols share.
const RECOGNISE: Duration = Duration::from_millis(50);

/// Maximum number of bytes of a fault's text: its cause, the function, and the plugin's last error line.
const DETAIL: usize = 768;

/// Implements [`Plugin`](host_model::Plugin) for a type with a field `guard`.
macro_rules! plugin {
    ($plugin:ty) => {
        impl host_model::Plugin for $plugin {
            fn id(&self) -> &host_model::PluginId {
                self.guard.id()
            }

            fn stats(&self) -> &std::sync::Arc<host_model::CallStats> {
                self.guard.stats()
            }

            fn fallback(&self) -> host_model::Fallback {
                self.guard.fallback()
            }

            fn export_state(&mut self) -> Result<Option<host_model::State>, host_model::Fault> {
                self.guard.export_state()
            }

            fn import_state(&mut self, state: &host_model::State) -> Result<bool, host_model::Fault> {
                self.guard.import_state(state)
            }
        }
    };
}
pub(crate) use plugin;

// === impl Guard ===

impl<R: Role> Guard<R> {
    /// Builds the first instance.
    ///
    /// # Errors
    /// The step of the load that failed.
    pub(crate) fn start(blueprint: Blueprint<R>) -> Result<Self, PluginError> {
        let (instance, bound) = blueprint.build().map_err(|failed| failed.refuse(&blueprint.id))?;
        let backoff = Backoff::new(blueprint.setup.limits.quarantine);
        Ok(Self { blueprint, bound, live: Some(instance), backoff, recycling: Pace::default(), errors: [0; Call::COUNT] })
    }

    pub(crate) fn id(&self) -> &PluginId {
        &self.blueprint.id
    }

    pub(crate) fn stats(&self) -> &Arc<CallStats> {
        &self.blueprint.stats
    }

    /// Returns the fallback for a batch on which the plugin failed.
    pub(crate) fn fallback(&self) -> Fallback {
        self.blueprint.setup.fallback
    }

    /// Returns the answer of `bind`.
    pub(crate) fn bound(&self) -> &R::Bound {
        &self.bound
    }

    /// Returns the maximum number of rows that one call may return.
    pub(crate) fn output_rows(&self) -> usize {
        self.blueprint.setup.limits.output_rows
    }

    /// Calls an exported function with `rows` rows, and checks the answer.
    ///
    /// # Errors
    /// The fault, which is counted. After a trap the next call rebuilds the instance.
    pub(crate) fn call<Raw, T>(
        &mut self,
        kind: Call,
        rows: usize,
        call: impl FnOnce(&mut Store<Imports>, &R::Guest) -> Answer<Raw>,
        check: impl FnOnce(Raw, &R::Bound) -> Result<T, Breach>,
    ) -> Result<T, Fault> {
        let step = kind.step();
        if !kind.follows() {
            self.recycle_if_grown();
        }
        self.ready(step)?;
        let start = Instant::now();
        let deadline = kind.deadline(&self.blueprint.setup.limits.deadlines);
        let answer = self.enter(deadline, |instance| call(&mut instance.store, &instance.guest));
        let answer = answer.and_then(|raw| check(raw, &self.bound).map_err(Ended::from));
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.blueprint.stats.record(rows as u64, nanos);
        match answer {
            Ok(answer) => {
                self.errors_of(kind, |_| 0);
                Ok(answer)
            }
            Err(Ended { kind: FaultKind::Refused, detail }) => Err(self.erred(kind, detail)),
            Err(ended) => Err(self.offend(step, ended)),
        }
    }

    /// Counts an error that the guest returned as its answer: an offence only from [`ERRORS_IN_A_ROW`] of them in a row on.
    fn erred(&mut self, kind: Call, detail: String) -> Fault {
        let errors = self.errors_of(kind, |errors| errors.saturating_add(1));
        let ended = Ended { kind: FaultKind::Refused, detail };
        if errors < ERRORS_IN_A_ROW {
            return self.fault(kind.step(), ended);
        }
        self.punish();
        let detail = format!("{}; it has returned an error {errors} times in a row", printable(&ended.detail, DETAIL / 2));
        self.fault(kind.step(), Ended { detail, ..ended })
    }

    /// Updates the number of errors in a row of a function, and returns it.
    fn errors_of(&mut self, kind: Call, counted: impl FnOnce(u32) -> u32) -> u32 {
        let Some(errors) = self.errors.get_mut(kind as usize) else { return 0 };
        *errors = counted(*errors);
        *errors
    }

    /// Makes sure that there is an instance that may be called.
    fn ready(&mut self, step: &'static str) -> Result<(), Fault> {
        let clock = &self.blueprint.setup.host.clock;
        if self.backoff.rested(|| Duration::from_nanos(clock.monotonic())) {
            self.blueprint.stats.set_health(Health::Live);
        }
        let (kind, words) = match self.backoff.standing() {
            Standing::Free if self.live.is_some() => return Ok(()),
            Standing::Free => return self.rebuild(step),
            Standing::Resting(_, words) => (FaultKind::BackingOff, words.clone()),
            Standing::Quarantined(words) => (FaultKind::Quarantined, words.clone()),
        };
        self.blueprint.stats.fault(kind);
        Err(Fault { plugin: self.blueprint.id.clone(), step, kind, detail: words })
    }

    fn rebuild(&mut self, step: &'static str) -> Result<(), Fault> {
        match self.blueprint.build() {
            Ok((instance, bound)) if bound == self.bound => {
                self.live = Some(instance);
                Ok(())
            }
            Ok(_) => Err(self.offend(step, Breach::Rebound.into())),
            Err(failed) => {
                let detail = format!("built again, {} failed: {}", failed.step, failed.problem);
                // The first instance was bound with the same configuration, so refusing it now breaks the contract.
                let kind = if failed.kind == FaultKind::Refused { FaultKind::Contract } else { failed.kind };
                Err(self.offend(step, Ended { kind, detail }))
            }
        }
    }

    /// Calls the guest with a deadline. An error of the runtime ends the instance.
    fn enter<T>(&mut self, deadline: Duration, call: impl FnOnce(&mut Instance<R::Guest>) -> Answer<T>) -> Result<T, Ended> {
        let Some(instance) = &mut self.live else {
            return Err(Ended { kind: FaultKind::Trap, detail: "its instance is gone after a fault".into() });
        };
        instance.store.data_mut().begin();
        self.blueprint.engine.arm(&mut instance.store, deadline);
        let answer = call(instance);
        let host_calls = instance.store.data().under_way.host_calls();
        if host_calls > 0 {
            self.blueprint.stats.host_calls.fetch_add(host_calls.into(), Relaxed);
        }
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(words)) => Err(Ended { kind: FaultKind::Refused, detail: words }),
            Err(error) => {
                let (kind, detail) = explain(&error, &instance.store, deadline);
                self.end();
                Err(Ended { kind, detail })
            }
        }
    }

    /// Drops the instance.
    fn end(&mut self) {
        self.live = None;
        self.blueprint.stats.memory_bytes.store(0, Relaxed);
    }

    /// Returns the fault of a call, after backoff or quarantine if it is an offence.
    fn offend(&mut self, step: &'static str, ended: Ended) -> Fault {
        if ended.kind.is_offence() {
            self.punish();
        }
        self.fault(step, ended)
    }

    /// Counts an offence: starts backoff or quarantine.
    fn punish(&mut self) {
        let stats = &self.blueprint.stats;
        let now = Duration::from_nanos(self.blueprint.setup.host.clock.monotonic());
        match self.backoff.offence(now) {
            Standing::Free => {}
            Standing::Resting(..) => stats.set_health(Health::BackingOff),
            Standing::Quarantined(_) => {
                stats.set_health(Health::Quarantined);
                self.end();
            }
        }
    }

    /// Counts a fault, without other consequences.
    fn fault(&self, step: &'static str, Ended { kind, detail }: Ended) -> Fault {
        self.blueprint.stats.fault(kind);
        Fault { plugin: self.blueprint.id.clone(), step, kind, detail: printable(&detail, DETAIL) }
    }

    /// Returns the fault of a call that was not made, because its precondition is missing.
    pub(crate) fn not_called(&self, kind: Call, detail: &str) -> Fault {
        self.fault(kind.step(), Ended { kind: FaultKind::Refused, detail: detail.into() })
    }
}

// === impl Ended ===

impl From<Breach> for Ended {
    fn from(breach: Breach) -> Self {
        let too_much = matches!(breach, Breach::TooManyRows { .. } | Breach::TooManyFields { .. } | Breach::State { .. });
        Self { kind: if too_much { FaultKind::Output } else { FaultKind::Contract }, detail: breach.to_string() }
    }
}

// === impl Call ===

impl Call {
    /// Number of calls.
    const COUNT: usize = 7;

    /// Name of the exported function.
    const fn step(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Complete => "complete",
            Self::Disowned => "disowned",
            Self::Recognise => "recognise",
            Self::Decide => "decide",
            Self::Tune => "tune",
            Self::Enrich => "enrich",
        }
    }

    /// Whether the call is about the previous one, so that the same instance must answer.
    const fn follows(self) -> bool {
        matches!(self, Self::Complete | Self::Disowned)
    }

    fn deadline(self, deadlines: &Deadlines) -> Duration {
        match self {
            Self::Decode | Self::Complete | Self::Disowned => deadlines.decode,
            Self::Recognise => deadlines.decode.min(RECOGNISE),
            Self::Decide => deadlines.decide,
            Self::Tune => deadlines.tune,
            Self::Enrich => deadlines.enrich,
        }
    }
}
