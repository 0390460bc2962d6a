//! An instance: one Store with one owner. After a call that ends in an error of the runtime it is unusable: it is rebuilt from its
//! blueprint and never entered again.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_model::layout::Mismatch;
use host_model::{CallStats, FaultKind, PluginId, printable};
use wasmtime::component::{Instance as WasmInstance, InstancePre};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};

use crate::Setup;
use crate::breach::Breach;
use crate::engine::Engine;
use crate::imports::{Forbidden, Imports, Rates, TooManyHostCalls};
use crate::refusal::{PluginError, Step};
use crate::version::v0_1::exports::probe::plugin::handover;

/// The part of an instance that depends on its role.
pub(crate) trait Role: Send {
    /// The functions that it exports.
    type Guest: Send;
    /// The answer of `bind`, checked.
    type Bound: PartialEq + Send;

    /// Looks up the exported functions.
    fn guest(pre: &InstancePre<Imports>, store: &mut Store<Imports>, instance: &WasmInstance) -> wasmtime::Result<Self::Guest>;

    /// Calls `bind`, and the functions before it.
    fn bind(&self, store: &mut Store<Imports>, guest: &Self::Guest, config: &str) -> Result<Self::Bound, Failure>;
}

/// Everything needed to build an instance.
pub(crate) struct Blueprint<R> {
    pub(crate) id: PluginId,
    pub(crate) role: R,
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<Imports>,
    pub(crate) config: Arc<serde_json::Map<String, serde_json::Value>>,
    pub(crate) setup: Setup,
    pub(crate) stats: Arc<CallStats>,
    pub(crate) rates: Rates,
}

/// A live instance.
pub(crate) struct Instance<G> {
    pub(crate) store: Store<Imports>,
    pub(crate) guest: G,
    pub(crate) handover: Option<handover::Guest>,
    /// Memory in bytes after `bind`.
    pub(crate) born_bytes: usize,
}

/// Why an instance was not built.
pub(crate) enum Failure {
    /// The runtime ended a call.
    Ended(Step, wasmtime::Error),
    /// The plugin refused.
    Refused(String),
    /// An answer of the plugin breaks the contract.
    Breach(Step, Breach),
    /// The record layout that it expects differs from the probe's.
    Mismatch(Mismatch),
}

/// A [`Failure`] as text.
pub(crate) struct Explained {
    pub(crate) step: Step,
    pub(crate) kind: FaultKind,
    pub(crate) problem: String,
    pub(crate) cure: &'static str,
}

// === impl Blueprint ===

impl<R: Role> Blueprint<R> {
    /// Builds an instance and binds it.
    pub(crate) fn build(&self) -> Result<(Instance<R::Guest>, R::Bound), Explained> {
        let Setup { grants, limits, host, config, .. } = &self.setup;
        let imports = Imports::new(self.rates.clone(), self.config.clone(), grants, host, limits, self.stats.clone());
        let mut store = Store::new(self.engine.wasm(), imports);
        store.limiter(|imports| &mut imports.limiter);
        store.set_hostcall_fuel(limits.output_bytes);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline.passed()));
        self.engine.arm(&mut store, limits.deadlines.bind);
        let live = self.instantiate(&mut store).map_err(|error| Failure::Ended(Step::Instantiate, error));
        let bound = live.and_then(|(guest, handover)| Ok((self.role.bind(&mut store, &guest, config)?, guest, handover)));
        self.stats.host_calls.fetch_add(store.data().under_way.host_calls().into(), Relaxed);
        match bound {
            Ok((bound, guest, handover)) => {
                let born_bytes = store.data().limiter.memory_bytes();
                Ok((Instance { store, guest, handover, born_bytes }, bound))
            }
            Err(failure) => Err(failure.explain(&store, limits.deadlines.bind)),
        }
    }

    fn instantiate(&self, store: &mut Store<Imports>) -> wasmtime::Result<(R::Guest, Option<handover::Guest>)> {
        let instance = self.pre.instantiate(&mut *store)?;
        let guest = R::guest(&self.pre, store, &instance)?;
        let handover = match handover::GuestIndices::new(&self.pre) {
            Ok(indices) => Some(indices.load(&mut *store, &instance)?),
            Err(_) => None,
        };
        Ok((guest, handover))
    }
}

// === impl Failure ===

impl Failure {
    fn explain(self, store: &Store<Imports>, deadline: Duration) -> Explained {
        match self {
            Self::Ended(step, error) => {
                let (kind, problem) = explain(&error, store, deadline);
                let cure = match (step, kind, store.data().limiter.refusal()) {
                    (_, FaultKind::BackingOff, _) => "unload a plugin or a probe: the host is full",
                    (_, FaultKind::Deadline, _) => {
                        "look for an endless loop, or raise `deadlines.bind` in `limits` of its slot"
                    }
                    (_, FaultKind::HostCalls, _) => "look for an endless loop, or raise `host_calls` in `limits` of its slot",
                    (_, _, Some((_, cure))) => cure,
                    (Step::Instantiate, FaultKind::Contract, _) => {
                        "build the plugin against wit/v0.1: an import or export has another shape there"
                    }
                    _ => "this is a bug of the plugin: tell its author, or load another version",
                };
                Explained { step, kind, problem, cure }
            }
            Self::Refused(words) => Explained {
                step: Step::Bind,
                kind: FaultKind::Refused,
                problem: printable(&words, 512),
                cure: "correct the slot's `config`; the plugin's README lists what it takes",
            },
            Self::Breach(step, breach) => Explained {
                step,
                kind: FaultKind::Contract,
                problem: printable(&breach.to_string(), 512),
                cure: "this is a bug of the plugin: wit/v0.1 says what it may return",
            },
            Self::Mismatch(mismatch) => Explained {
                step: Step::Expects,
                kind: FaultKind::Refused,
                problem: printable(&mismatch.to_string(), 512),
                cure: "build the decoder against the probe's record.h, or load the probe that it was built for",
            },
        }
    }
}

// === impl Explained ===

impl Explained {
    pub(crate) fn refuse(&self, id: &PluginId) -> PluginError {
        PluginError::new(&id.to_string(), self.step, &self.problem, self.cure)
    }
}

// === impl Instance ===

impl<G> Instance<G> {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().limiter.memory_bytes()
    }
}

/// Formats an error of the runtime, with the plugin's last error line, and returns which kind of fault it is. `BackingOff` means that the
/// host has no room for another instance.
pub(crate) fn explain(error: &wasmtime::Error, store: &Store<Imports>, deadline: Duration) -> (FaultKind, String) {
    let (kind, mut detail) = cause(error, store, deadline);
    if let Some(words) = store.data().under_way.last_words() {
        // Writing to a String cannot fail.
        let _ = write!(detail, "; it said \"{words}\"");
    }
    (kind, detail)
}

fn cause(error: &wasmtime::Error, store: &Store<Imports>, deadline: Duration) -> (FaultKind, String) {
    let cause = error.root_cause().to_string();
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        return (FaultKind::Deadline, format!("it did not return within {} ms", deadline.as_millis()));
    }
    if error.is::<TooManyHostCalls>() {
        return (FaultKind::HostCalls, cause);
    }
    if error.is::<Forbidden>() {
        return (FaultKind::Trap, cause);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return (FaultKind::BackingOff, printable(&cause, 300));
    }
    // This error of the runtime has no public type.
    if cause.contains("fuel allocated for hostcalls") {
        return (FaultKind::Output, "what it returned is larger than its output may be (`output_bytes`)".into());
    }
    if let Some((refusal, _)) = store.data().limiter.refusal() {
        return (FaultKind::Trap, format!("{refusal}; then: {}", printable(&cause, 200)));
    }
    let kind = if error.is::<Trap>() { FaultKind::Trap } else { FaultKind::Contract };
    let function = error.downcast_ref::<WasmBacktrace>().and_then(|trace| trace.frames().first()?.func_name());
    let place = function.map(|name| format!(" in `{}`", printable(name, 120))).unwrap_or_default();
    (kind, format!("it ended with \"{}\"{place}", printable(&cause, 300)))
}
