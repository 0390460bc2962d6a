//! What a plugin can reach of the host: one room for each interface of `wit/v0.1/host.wit`.

mod clock;
mod config;
mod log;
mod maps;
mod tables;

use std::sync::Arc;

use host_model::{CallStats, MapAccess, MapError, PluginId, TableError, Tables};
use wasmtime::component::{HasSelf, Linker};

pub use clock::{Clock, SystemClock};

use crate::deadline::Deadline;
use crate::grant::Grants;
use crate::limiter::Limiter;
use crate::limits::Limits;
use crate::version::v0_1::probe::plugin;

/// What the host offers. Shared by all plugins of a path; each sees of it what it was granted.
#[derive(Clone)]
pub struct Host {
    /// Tables about the node.
    pub tables: Arc<dyn Tables>,
    /// The BPF maps of the path's object.
    pub maps: Arc<dyn MapAccess>,
    /// The clocks: the system's, or virtual ones during replay.
    pub clock: Arc<dyn Clock>,
}

/// The host as one instance sees it.
pub(crate) struct Imports {
    log: log::Log,
    config: Arc<serde_json::Map<String, serde_json::Value>>,
    grants: Grants,
    host: Host,
    pub(crate) limiter: Limiter,
    pub(crate) deadline: Deadline,
}

/// Gives every component the interfaces; whether it may have them was decided before.
pub(crate) fn link(linker: &mut Linker<Imports>) -> wasmtime::Result<()> {
    plugin::log::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::config::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::maps::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::tables::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    plugin::clock::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)
}

/// A host without tables and maps.
struct Nothing;

// === impl Imports ===

impl Imports {
    pub(crate) fn new(
        id: &PluginId,
        config: Arc<serde_json::Map<String, serde_json::Value>>,
        grants: &Grants,
        host: &Host,
        limits: &Limits,
        stats: Arc<CallStats>,
    ) -> Self {
        Self {
            log: log::Log::new(id, limits.log_lines_per_second),
            config,
            grants: grants.clone(),
            host: host.clone(),
            limiter: Limiter::new(limits, stats),
            deadline: Deadline::default(),
        }
    }
}

// === impl Host ===

impl Default for Host {
    fn default() -> Self {
        Self { tables: Arc::new(Nothing), maps: Arc::new(Nothing), clock: Arc::new(SystemClock) }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

// === impl Nothing ===

impl Tables for Nothing {
    fn lookup(&self, table: &str, _keys: &[u64], _columns: &[String]) -> Result<Vec<arrow_array::ArrayRef>, TableError> {
        Err(TableError::NoTable(table.into()))
    }
}

impl MapAccess for Nothing {
    fn lookup(&self, _map: &str, _key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        Err(MapError::NoMap)
    }

    fn update(&self, _map: &str, _key: &[u8], _value: &[u8]) -> Result<(), MapError> {
        Err(MapError::NoMap)
    }

    fn delete(&self, _map: &str, _key: &[u8]) -> Result<(), MapError> {
        Err(MapError::NoMap)
    }
}
