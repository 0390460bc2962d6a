//! The compiler, and its memory of what it has compiled before.

use std::time::Instant;

use host_plugin::{Cache, Component, Engine, PluginError};

use crate::control::message::Refusal;
use crate::kept::Kept;
use crate::settings::Settings;

/// Makes components of bytes.
pub(crate) struct Compiler {
    engine: Engine,
    cache: Option<Cache>,
}

/// Bytes of compiled code that are kept. 512 MiB: a component has two to five times as much code as bytes, an interpreter's 18 MiB
/// make 80.
const MAX_CODE: u64 = 512 << 20;

// === impl Compiler ===

impl Compiler {
    /// A compiler that keeps its code in the state folder, if there is one and nobody said no.
    pub(crate) fn start(settings: &Settings, kept: &Kept) -> Result<Self, Refusal> {
        let engine = Engine::new().map_err(|error| Refusal::new("start", error.to_string(), ""))?;
        let config = settings.config.cache;
        let cache = match kept.folder().filter(|_| config.enabled != Some(false)) {
            Some(folder) => {
                let folder = folder.join("cache");
                let cache = Cache::open(&folder, config.max_bytes.map_or(MAX_CODE, |size| size.0));
                kept.usable(&folder, cache)?
            }
            None => None,
        };
        Ok(Self { engine, cache })
    }

    /// The component, from the cache or compiled. Blocks.
    pub(crate) fn compile(&self, bytes: &[u8], stem: &str) -> Result<Component, PluginError> {
        let began = Instant::now();
        let (component, how) = match &self.cache {
            Some(cache) => {
                let (component, how) = Component::compile_cached(&self.engine, bytes, stem, cache)?;
                (component, how.to_string())
            }
            None => (Component::compile(&self.engine, bytes, stem)?, "none".into()),
        };
        let plugin = component.inspection().label();
        tracing::debug!(
            plugin,
            cache = how,
            ready_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "component ready"
        );
        Ok(component)
    }
}
