//! From bytes to a component: the compiler with its memory of what it has compiled before, and code that was compiled elsewhere.

use std::time::Instant;

#[cfg(feature = "compiler")]
use host_plugin::Cache;
use host_plugin::{Component, Engine, Execution, Grants, INSTANCES, Inspection, PluginError};

use crate::control::message::Refusal;
use crate::kept::Kept;
use crate::settings::Settings;

/// Makes components of bytes.
pub(crate) struct Compiler {
    engine: Engine,
    #[cfg(feature = "compiler")]
    cache: Option<Cache>,
}

// === impl Compiler ===

impl Compiler {
    /// A compiler that keeps its code in the state folder, if there is one and nobody said no.
    pub(crate) fn start(settings: &Settings, kept: &Kept) -> Result<Self, Refusal> {
        let config = settings.config.engine;
        let execution = execution(config.interpret);
        let engine = Engine::with(execution, config.instances.unwrap_or(INSTANCES))
            .map_err(|error| Refusal::new("start", error.to_string(), ""))?;
        #[cfg(not(feature = "compiler"))]
        let _ = kept;
        Ok(Self {
            engine,
            #[cfg(feature = "compiler")]
            cache: cache(settings, kept)?,
        })
    }

    /// The engine that runs what this makes.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component: compiled, from the cache, or code that was compiled elsewhere and that `grants` say may be run. Blocks.
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

    /// With what the cache did.
    fn of_component(&self, bytes: &[u8], stem: &str) -> Result<(Component, String), PluginError> {
        #[cfg(feature = "compiler")]
        if let Some(cache) = &self.cache {
            let (component, how) = Component::compile_cached(&self.engine, bytes, stem, cache)?;
            return Ok((component, how.to_string()));
        }
        Ok((Component::compile(&self.engine, bytes, stem)?, "none".into()))
    }
}

/// How code runs: as the configuration says, else as this system lets it. Says so where it is interpreted.
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

#[cfg(feature = "compiler")]
fn cache(settings: &Settings, kept: &Kept) -> Result<Option<Cache>, Refusal> {
    let config = settings.config.cache;
    let Some(folder) = kept.folder().filter(|_| config.enabled != Some(false)) else { return Ok(None) };
    let folder = folder.join("cache");
    let cache = Cache::open(&folder, config.max_bytes.map_or(u64::MAX, |size| size.0));
    kept.usable(&folder, cache)
}
