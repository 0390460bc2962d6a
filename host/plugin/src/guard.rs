//! The one door to a plugin: every call is timed, counted and checked here; a dead instance is built again before the next
//! call, and one that fails again and again is left alone, for a while or for good.

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

/// A plugin on one path.
pub(crate) struct Guard<R: Role> {
    blueprint: Blueprint<R>,
    bound: R::Bound,
    /// None after a trap, and in quarantine.
    live: Option<Instance<R::Guest>>,
    backoff: Backoff,
    recycling: Pace,
    /// Errors of its own that each function has returned since it last returned something else, in the order of [`Call`].
    errors: [u32; Call::COUNT],
}

/// A call on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Decode,
    /// For rows of the last `Decode`, which the same instance must have made.
    Complete,
    /// About the last `Decode`, as well.
    Disowned,
    Recognise,
    Decide,
    Tune,
    Enrich,
}

/// The answer of a guest: its result, or an error of its own.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, String>>;

/// The end of a call that did not return what it should.
struct Ended {
    kind: FaultKind,
    detail: String,
}

/// A decoder is asked on the thread that all protocols wait for.
const RECOGNISE: Duration = Duration::from_millis(50);

/// Bytes of a fault's words: its cause, the function, and what the plugin said last.
const DETAIL: usize = 768;

/// Makes a type with a field `guard` a [`Plugin`](host_model::Plugin).
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

    /// The fallback for a batch that it failed on.
    pub(crate) fn fallback(&self) -> Fallback {
        self.blueprint.setup.fallback
    }

    /// The answer of `bind`.
    pub(crate) fn bound(&self) -> &R::Bound {
        &self.bound
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

    /// It returned an error of its own: an answer, unless it is the only one that it has.
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

    /// Counts anew how many errors a function has returned in a row.
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
                // It was bound once with the same configuration, so that a refusal is no answer now.
                let kind = if failed.kind == FaultKind::Refused { FaultKind::Contract } else { failed.kind };
                Err(self.offend(step, Ended { kind, detail }))
            }
        }
    }

    /// Enters the sandbox, and sees to it that it is left in time. An error of the runtime ends the instance.
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

    /// There is no instance any more.
    fn end(&mut self) {
        self.live = None;
        self.blueprint.stats.memory_bytes.store(0, Relaxed);
    }

    /// A fault of a call, with what follows from it.
    fn offend(&mut self, step: &'static str, ended: Ended) -> Fault {
        if ended.kind.is_offence() {
            self.punish();
        }
        self.fault(step, ended)
    }

    /// Handles an offence: backoff, or quarantine.
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

    /// A fault without consequences beyond being counted.
    fn fault(&self, step: &'static str, Ended { kind, detail }: Ended) -> Fault {
        self.blueprint.stats.fault(kind);
        Fault { plugin: self.blueprint.id.clone(), step, kind, detail: printable(&detail, DETAIL) }
    }

    /// A fault of a call that was not made, because the host has not what it takes.
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
    /// Their number.
    const COUNT: usize = 7;

    /// The exported function.
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

    /// Whether it is about the call before, so that the same instance must answer.
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
