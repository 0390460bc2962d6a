//! From bytes to a component: the compiler with its cache, and code that was compiled elsewhere.

use std::time::Instant;

#[cfg(feature = "compiler")]
use host_plugin::{Apart, Cache, apart};
use host_plugin::{Component, Engine, Execution, Grants, INSTANCES, Inspection, PluginError};

use crate::error::DaemonError;
use crate::settings::Settings;
use crate::state_dir::StateDir;

/// Makes components from bytes.
pub(crate) struct Compiler {
    engine: Engine,
    #[cfg(feature = "compiler")]
    cache: Option<Cache>,
    /// The compiler process for components that did not come with the host; None if this binary cannot be started as one.
    #[cfg(feature = "compiler")]
    apart: Option<Apart>,
}

// === impl Compiler ===

impl Compiler {
    /// Returns a compiler that caches its code in the state folder, if there is one and the configuration permits it.
    pub(crate) fn start(settings: &Settings, state_dir: &StateDir) -> Result<Self, DaemonError> {
        let config = settings.config.engine;
        let execution = execution(config.interpret);
        let engine = Engine::with(execution, config.instances.unwrap_or(INSTANCES))?;
        #[cfg(not(feature = "compiler"))]
        let _ = state_dir;
        Ok(Self {
            engine,
            #[cfg(feature = "compiler")]
            cache: cache(settings, state_dir)?,
            #[cfg(feature = "compiler")]
            apart: settings.compiles_apart.then(|| {
                let time = config.compile_time.map_or(apart::COMPILE_TIME, |time| time.0);
                Apart::new(time, config.compile_memory.map_or(apart::COMPILE_MEMORY, |memory| memory.0))
            }),
        })
    }

    /// Returns the engine that runs the components.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Aborts compilations in progress, because the host stops.
    pub(crate) fn give_up(&self) {
        #[cfg(feature = "compiler")]
        self.apart.iter().for_each(Apart::give_up);
    }

    /// Returns the component: compiled, from the cache, or precompiled elsewhere if `grants` permit its code to run. Blocks.
    pub(crate) fn compile(
        &self,
        bytes: &[u8],
        stem: &str,
        inspection: &Inspection,
        grants: &Grants,
    ) -> Result<Component, PluginError> {
        let began = Instant::now();
        let own = plugins::digests();
        let (component, cache) = if inspection.compiled.is_none() {
            self.of_component(bytes, stem)?
        } else if own.contains(&inspection.digest.0) {
            (Component::load_own(&self.engine, bytes, stem, own)?, "none: its code is in the binary".to_owned())
        } else {
            (Component::load(&self.engine, bytes, stem, grants)?, "none: it was compiled elsewhere".to_owned())
        };
        tracing::debug!(
            plugin = inspection.label(),
            cache,
            ready_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "component ready"
        );
        Ok(component)
    }

    /// Returns the component, and the result of the cache lookup.
    fn of_component(&self, bytes: &[u8], stem: &str) -> Result<(Component, String), PluginError> {
        #[cfg(feature = "compiler")]
        if let Some(apart) = self.apart.as_ref().filter(|_| !comes_along(bytes)) {
            let (component, how) = Component::compile_apart(&self.engine, bytes, stem, self.cache.as_ref(), apart)?;
            return Ok((component, how.map_or_else(|| "none".into(), |how| how.to_string())));
        }
        #[cfg(feature = "compiler")]
        if let Some(cache) = &self.cache {
            let (component, how) = Component::compile_cached(&self.engine, bytes, stem, cache)?;
            return Ok((component, how.to_string()));
        }
        Ok((Component::compile(&self.engine, bytes, stem)?, "none".into()))
    }
}

/// Returns how code is run: as configured, otherwise as this system allows. Logs if code is interpreted.
pub(crate) fn execution(interpret: Option<bool>) -> Execution {
    match interpret {
        Some(false) => Execution::Native,
        Some(true) => {
            tracing::info!("plugins are interpreted, as `engine.interpret` says");
            Execution::Interpreted
        }
        None => match host_kernel::executable::allowed() {
            Ok(()) => Execution::Native,
            Err(error) => {
                tracing::warn!("this system forbids executable memory ({error}): plugins are interpreted, which is slower");
                Execution::Interpreted
            }
        },
    }
}

/// Whether it came with the host: then it is trusted like the host, and compiled in its process.
#[cfg(feature = "compiler")]
fn comes_along(component: &[u8]) -> bool {
    plugins::COMPONENTS.iter().any(|own| own.bytes == component)
}

#[cfg(feature = "compiler")]
fn cache(settings: &Settings, state_dir: &StateDir) -> Result<Option<Cache>, DaemonError> {
    let config = settings.config.cache;
    let Some(folder) = state_dir.folder().filter(|_| config.enabled != Some(false)) else { return Ok(None) };
    let folder = folder.join("cache");
    let cache = Cache::open(&folder, config.max_bytes.map_or(u64::MAX, |size| size.0));
    state_dir.usable(&folder, cache)
}
