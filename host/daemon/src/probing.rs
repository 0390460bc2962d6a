//! Probes that come and go while events flow.

use std::sync::Arc;

use host_kernel::catalog;
use host_model::{Probe, ProbeState};

use crate::config::{ProbeConfig, is_file};
use crate::control::message::{LoadProbe, Refusal, UnloadProbe};
use crate::daemon::{Core, lost, unix_ms};
use crate::loading;
use crate::slot::{Slot, is_name};
use crate::start::generation;
use crate::status::Origin;
use crate::wanted::{self, Object, Wanted};
use crate::wiring;

// === impl Core ===

impl Core {
    /// Loads a probe; returns when it is attached and its records are read.
    pub(crate) async fn load_probe(self: &Arc<Self>, load: LoadProbe) -> Result<Probe, Refusal> {
        let _changes = self.changes.lock().await;
        let core = Arc::clone(self);
        let probe = tokio::task::spawn_blocking(move || core.open_probe(load)).await.map_err(|error| lost(&error))??;
        tracing::info!(probe = probe.name, "probe attached");
        Ok(probe)
    }

    /// Detaches a probe, takes what is left in its ring, and ends its path.
    pub(crate) async fn unload_probe(self: &Arc<Self>, unload: UnloadProbe) -> Result<Probe, Refusal> {
        let _changes = self.changes.lock().await;
        let found = self.paths().into_iter().find(|path| path.name() == unload.probe);
        let Some(path) = found else {
            let message = format!("probe `{}` is not loaded", unload.probe);
            return Err(Refusal::new("probe", message, "`host probe list` shows those that are"));
        };
        let stopping = Arc::clone(&path);
        tokio::task::spawn_blocking(move || stopping.stop()).await.map_err(|error| lost(&error))?;
        let mut state = self.state();
        state.paths.retain(|other| !Arc::ptr_eq(other, &path));
        state.gone.push((unload.probe, Arc::clone(&path.counters)));
        let probe = wanted::idle(path.name(), path.probe().built_in, ProbeState::Detached);
        state.idle.push(probe.clone());
        Ok(probe)
    }

    /// Blocks.
    fn open_probe(&self, load: LoadProbe) -> Result<Probe, Refusal> {
        if self.origin == Origin::Replay {
            return Err(Refusal::new("probe", "a replay has no kernel to load a probe into", "run without --replay, as root"));
        }
        let wanted = self.wanted(load)?;
        if self.paths().iter().any(|path| path.name() == wanted.name) {
            let cure = format!("`host probe unload {}` first, or give it another name", wanted.name);
            return Err(Refusal::new("probe", format!("probe `{}` is loaded already", wanted.name), cure));
        }
        let mut next = self.state().slots.clone();
        let decoder = Slot::Decoder(wanted.name.clone());
        if next.live(&decoder).is_none() {
            let choice = loading::decoder(&self.settings.config, &wanted.name);
            let made = generation(&self.compiler, &self.settings, next.next_number(&decoder), choice)?;
            made.record().since_unix_ms = unix_ms();
            next.put(Arc::new(made));
        }
        let path = Arc::new(wiring::path(&self.parts, &next, wiring::open(&wanted)?)?);
        if let Err(error) = path.attach() {
            path.stop();
            return Err(wiring::kernel(error));
        }
        let probe = path.probe();
        let mut state = self.state();
        state.slots = next;
        state.idle.retain(|idle| idle.name != probe.name);
        state.paths.push(path);
        Ok(probe)
    }

    fn wanted(&self, load: LoadProbe) -> Result<Wanted, Refusal> {
        let built_in = load.path.to_str().filter(|name| !is_file(name)).and_then(catalog::find);
        let (object, name) = match built_in {
            Some(built_in) => (Object::BuiltIn(built_in.object), built_in.name.to_owned()),
            None => (Object::File(load.path.clone()), String::new()),
        };
        let name = match load.name {
            Some(name) if is_name(&name) => name,
            Some(name) => {
                let cure = "use letters, digits, `-` and `_`, at most 64";
                return Err(Refusal::new("probe", format!("{name:?} cannot be the name of a probe"), cure));
            }
            None if name.is_empty() => wanted::name_of(&load.path)?,
            None => name,
        };
        let mut probe = self.settings.config.probes.get(name.as_str()).cloned().unwrap_or_else(ProbeConfig::default);
        probe.max_entries.extend(load.max_entries);
        Ok(Wanted { options: wanted::options(&self.settings, &probe)?, name, object, must: true })
    }
}
