//! Changes of probes while events flow: load and unload.

use std::sync::Arc;

use host_api::{LARGEST_OBJECT, LoadProbe, Origin, Step, UnloadProbe, is_name};
use host_kernel::catalog;
use host_model::{Probe, ProbeState};

use crate::clock::unix_ms;
use crate::config::{AfterAttach, ProbeConfig, is_file};
use crate::daemon::Core;
use crate::error::DaemonError;
use crate::paths::compose;
use crate::paths::lanes;
use crate::paths::path::Path;
use crate::paths::trunk::Trunk;
use crate::plugins::fill::generation;
use crate::plugins::load::{self, Choice};
use crate::plugins::protocols;
use crate::plugins::slots::Slots;
use crate::probes::attached::Opened;
use crate::probes::open::open;
use crate::probes::selection::{self, Object, Wanted};

// === impl Core ===

impl Core {
    /// Returns all probes, including failed ones.
    pub(crate) fn probes(&self) -> Vec<Probe> {
        self.state().probes()
    }

    /// Loads a probe; returns when it is attached and its records are read.
    pub(crate) async fn load_probe(self: &Arc<Self>, load: LoadProbe) -> Result<Probe, DaemonError> {
        let _changes = self.changes.lock().await;
        let core = Arc::clone(self);
        let probe = tokio::task::spawn_blocking(move || core.open_probe(load)).await??;
        tracing::info!(probe = probe.name, "probe attached");
        Ok(probe)
    }

    /// Detaches a probe, drains its ring, and ends its path.
    pub(crate) async fn unload_probe(self: &Arc<Self>, unload: UnloadProbe) -> Result<Probe, DaemonError> {
        let _changes = self.changes.lock().await;
        if let Some(trunk) = self.trunk().filter(|trunk| trunk.name() == unload.probe) {
            return self.unload_trunk(trunk).await;
        }
        let found = self.paths().into_iter().filter(|path| !path.is_lane()).find(|path| path.name() == unload.probe);
        let Some(path) = found else {
            let message = format!("probe `{}` is not loaded", unload.probe);
            return Err(DaemonError::new(Step::Probe, message, "`host probe list` shows those that are"));
        };
        let stopping = Arc::clone(&path);
        tokio::task::spawn_blocking(move || stopping.stop()).await?;
        let mut state = self.state();
        state.paths.retain(|other| !Arc::ptr_eq(other, &path));
        state.gone.push((unload.probe, Arc::clone(&path.counters)));
        let built_in = path.probe().is_some_and(|probe| probe.built_in);
        let probe = selection::idle(path.name(), built_in, ProbeState::Detached);
        state.idle.push(probe.clone());
        Ok(probe)
    }

    /// Unloads the probe that sees connections, and with it the paths of all protocols.
    async fn unload_trunk(self: &Arc<Self>, trunk: Arc<Trunk>) -> Result<Probe, DaemonError> {
        let lanes: Vec<Arc<Path>> = self.paths().into_iter().filter(|path| path.is_lane()).collect();
        let (stopping, ending) = (Arc::clone(&trunk), lanes.clone());
        let stop = move || {
            stopping.stop();
            ending.iter().for_each(|lane| lane.stop());
        };
        tokio::task::spawn_blocking(stop).await?;
        let mut state = self.state();
        state.trunk = None;
        state.paths.retain(|path| !path.is_lane());
        state.gone.push((trunk.name().to_owned(), Arc::clone(&trunk.counters)));
        state.gone.extend(lanes.iter().map(|lane| (lane.name().to_owned(), Arc::clone(&lane.counters))));
        let probe = selection::idle(trunk.name(), trunk.probe().built_in, ProbeState::Detached);
        state.idle.push(probe.clone());
        Ok(probe)
    }

    /// Blocks.
    fn open_probe(&self, load: LoadProbe) -> Result<Probe, DaemonError> {
        if self.origin == Origin::Replay {
            return Err(DaemonError::new(
                Step::Probe,
                "a replay has no kernel to load a probe into",
                "run without --replay, as root",
            ));
        }
        if self.settings.config.privilege.after_attach == Some(AfterAttach::None) {
            let message =
                "CAP_BPF and CAP_PERFMON were given up when this host was ready (`after_attach = \"none\"` under [privilege])";
            return Err(DaemonError::new(
                Step::Privilege,
                message,
                "name the probe in the configuration, so that it is attached at the start",
            ));
        }
        let wanted = self.wanted(load)?;
        let taken = self.trunk().is_some_and(|trunk| trunk.name() == wanted.name);
        if taken || self.paths().iter().any(|path| path.name() == wanted.name) {
            let cure = format!("`host probe unload {}` first, or give it another name", wanted.name);
            return Err(DaemonError::new(Step::Probe, format!("probe `{}` is loaded already", wanted.name), cure));
        }
        let _unpacked = load::unpacked(self.compiler.engine().execution());
        let opened = open(&wanted)?;
        if self.trunk().is_none() && protocols::is_trunk(&opened.place.layout) {
            return self.open_trunk(opened);
        }
        let next = self.filled([load::decoder(&self.settings.config, &wanted.name)])?;
        self.goes_on()?;
        let path = Arc::new(compose::path(&self.parts, &next, opened)?);
        if let Err(error) = path.attach() {
            path.stop();
            return Err(error.into());
        }
        let probe = path.probe().unwrap_or_else(|| selection::idle(&wanted.name, false, ProbeState::Attached));
        let mut state = self.state();
        state.slots = next;
        state.idle.retain(|idle| idle.name != probe.name);
        state.paths.push(path);
        Ok(probe)
    }

    /// Opens the probe that sees connections, with a path for every protocol. Blocks.
    fn open_trunk(&self, opened: Opened) -> Result<Probe, DaemonError> {
        let paths = self.paths();
        let probes: Vec<&str> = paths.iter().map(|path| path.name()).collect();
        let next = self.filled(protocols::choices(&self.settings.config, &probes, self.compiler.engine().execution())?)?;
        self.goes_on()?;
        let (trunk, lanes) = lanes::compose(&self.parts, &next, opened, false)?;
        if let Err(error) = trunk.attach() {
            trunk.stop();
            lanes.iter().for_each(|lane| lane.stop());
            return Err(error.into());
        }
        let probe = trunk.probe();
        let mut state = self.state();
        state.slots = next;
        state.idle.retain(|idle| idle.name != probe.name);
        state.paths.extend(lanes);
        state.trunk = Some(Arc::new(trunk));
        Ok(probe)
    }

    /// Returns the slots with these plugins in the empty ones. Blocks.
    fn filled(&self, choices: impl IntoIterator<Item = Choice>) -> Result<Slots, DaemonError> {
        let mut next = self.state().slots.clone();
        for choice in choices {
            if next.live(&choice.slot).is_none() {
                let made = generation(&self.compiler, &self.settings, next.next_number(&choice.slot), choice)?;
                made.record().since_unix_ms = unix_ms();
                next.put(Arc::new(made));
            }
        }
        Ok(next)
    }

    fn wanted(&self, load: LoadProbe) -> Result<Wanted, DaemonError> {
        let given = load.bytes_base64.as_deref().map(load::decoded).transpose()?;
        if let Some(bytes) = given.as_ref().filter(|bytes| bytes.len() > LARGEST_OBJECT) {
            let message = format!("{}: {} bytes are over {} MiB", load.path.display(), bytes.len(), LARGEST_OBJECT >> 20);
            return Err(DaemonError::new(Step::Read, message, "strip what is no BPF from the object: `llvm-strip -g`"));
        }
        let built_in = load.path.to_str().filter(|name| given.is_none() && !is_file(name)).and_then(catalog::find);
        let (object, name) = match built_in {
            None if given.is_some() => (Object::Given(given.unwrap_or_default()), String::new()),
            Some(built_in) => (Object::BuiltIn(built_in.object), built_in.name.to_owned()),
            None => (Object::File(load.path.clone()), String::new()),
        };
        let name = match load.name {
            Some(name) if is_name(&name) => name,
            Some(name) => {
                let cure = "use letters, digits, `-` and `_`, at most 64";
                return Err(DaemonError::new(Step::Probe, format!("{name:?} cannot be the name of a probe"), cure));
            }
            None if name.is_empty() => selection::name_of(&load.path)?,
            None => name,
        };
        let mut probe = self.settings.config.probes.get(name.as_str()).cloned().unwrap_or_else(ProbeConfig::default);
        probe.max_entries.extend(load.max_entries);
        Ok(Wanted { options: selection::options(&self.settings, &name, &probe)?, name, object, must: true })
    }
}
