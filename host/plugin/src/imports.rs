//! The imports of a plugin: a file for each interface of `wit/v0.1/host.wit`, and one for WASI.

mod bucket;
mod clock;
mod config;
mod log;
mod maps;
mod random;
mod rates;
mod tables;
mod under_way;
pub(crate) mod wasi;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_model::{CallStats, Looked, MapAccess, NoMaps, TableError, Tables};
use wasmtime::component::{HasSelf, Linker};

pub use clock::{Clock, SystemClock};
pub(crate) use rates::Rates;
pub(crate) use under_way::TooManyHostCalls;
use under_way::UnderWay;

use crate::deadline::Deadline;
use crate::grant::Grants;
use crate::limiter::Limiter;
use crate::limits::Limits;
use crate::version::v0_1::probe::plugin;

/// The host's tables, maps and clock. Shared by all plugins of a path; each can access what it was granted.
#[derive(Clone)]
pub struct Host {
    /// Tables about the node.
    pub tables: Arc<dyn Tables>,
    /// The BPF maps of the path's object.
    pub maps: Arc<dyn MapAccess>,
    /// The clocks: the system's, or virtual ones during replay.
    pub clock: Arc<dyn Clock>,
}

/// The state of the imports of one instance.
pub(crate) struct Imports {
    rates: Rates,
    config: Arc<serde_json::Map<String, serde_json::Value>>,
    grants: Grants,
    stats: Arc<CallStats>,
    host: Host,
    wasi: wasi::Wasi,
    host_call_cap: u32,
    pub(crate) under_way: UnderWay,
    pub(crate) limiter: Limiter,
    pub(crate) deadline: Deadline,
}

/// A request to the host that no plugin, or not this one, may make. It ends the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it asked the host for {0}")]
pub(crate) struct Forbidden(Cow<'static, str>);

/// Links all interfaces for every component; the grants were checked before.
pub(crate) fn link(linker: &mut Linker<Imports>) -> wasmtime::Result<()> {
    plugin::log::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::config::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::maps::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::tables::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::clock::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::random::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::link(linker)
}

/// A host without tables and maps.
struct Nothing;

/// Time from which a host function is considered to have waited.
const NO_TIME: Duration = Duration::from_millis(1);

// === impl Imports ===

impl Imports {
    /// Runs work that may wait for the system: this time counts against the guest's deadline by the wall clock.
    fn waiting<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, Duration) {
        let began = Instant::now();
        let done = work(self);
        let took = began.elapsed();
        if took > NO_TIME {
            self.deadline.waited(took);
        }
        (done, took)
    }

    pub(crate) fn new(
        rates: Rates,
        config: Arc<serde_json::Map<String, serde_json::Value>>,
        grants: &Grants,
        host: &Host,
        limits: &Limits,
        stats: Arc<CallStats>,
    ) -> Self {
        Self {
            rates,
            config,
            grants: grants.clone(),
            stats: stats.clone(),
            host: host.clone(),
            wasi: wasi::Wasi::new(),
            host_call_cap: limits.host_calls,
            under_way: UnderWay::default(),
            limiter: Limiter::new(limits, stats),
            deadline: Deadline::default(),
        }
    }
}

impl Drop for Imports {
    fn drop(&mut self) {
        self.finish_lines();
    }
}

// === impl Forbidden ===

impl Forbidden {
    /// Returns an error of the runtime that names the request.
    fn error(what: impl Into<Cow<'static, str>>) -> wasmtime::Error {
        wasmtime::Error::new(Self(what.into()))
    }
}

// === impl Host ===

impl Default for Host {
    fn default() -> Self {
        Self { tables: Arc::new(Nothing), maps: Arc::new(NoMaps), clock: Arc::new(SystemClock) }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

// === impl Nothing ===

impl Tables for Nothing {
    fn lookup(&self, table: &str, _keys: &[u64], _columns: &[String], _within: Duration) -> Result<Looked, TableError> {
        Err(TableError::NoTable(table.into()))
    }
}
