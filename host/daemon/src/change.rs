//! Changes while events flow: plugins loaded, unloaded and rolled back; probes loaded and unloaded.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host_kernel::catalog;
use host_model::{Probe, ProbeState};

use crate::config::{ProbeConfig, is_file};
use crate::control::message::{Live, LoadPlugin, LoadProbe, Refusal, RollbackPlugin, UnloadPlugin, UnloadProbe};
use crate::daemon::{Core, lost};
use crate::loading::{self, Order};
use crate::slot::{Slot, is_name};
use crate::slots::{Generation, Slots};
use crate::start::generation;
use crate::status::{Origin, Swap};
use crate::swap::{Swapped, swap};
use crate::wanted::{self, Object, Wanted};
use crate::wiring;

// === impl Core ===

impl Core {
    /// Loads a plugin; returns when it is live on every path. On an error everything is as it was.
    pub(crate) async fn load_plugin(self: &Arc<Self>, load: LoadPlugin) -> Result<Live, Refusal> {
        let _changes = self.changes.lock().await;
        let core = Arc::clone(self);
        // Reading and compiling take their time.
        let made = tokio::task::spawn_blocking(move || core.generation(load)).await.map_err(|error| lost(&error))??;
        let mut next = self.state().slots.clone();
        if let Some(live) = next.live(&made.slot)
            && live.does_the_same(&made)
        {
            return Ok(answer(live, None));
        }
        let made = Arc::new(made);
        next.put(Arc::clone(&made));
        let swapped = self.swap(next, &made.slot).await?;
        Ok(answer(&made, Some(&swapped)))
    }

    /// Empties a slot.
    pub(crate) async fn unload_plugin(self: &Arc<Self>, unload: UnloadPlugin) -> Result<Swap, Refusal> {
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        if next.live(&unload.slot).is_none() {
            return Err(Refusal::new(
                "slot",
                format!("slot {} is empty", unload.slot),
                "`host plugin list` shows what is where",
            ));
        }
        next.clear(&unload.slot);
        self.swap(next, &unload.slot).await?;
        self.state().swaps.back().cloned().ok_or_else(|| Refusal::new("slot", "nothing was unloaded", ""))
    }

    /// Makes an earlier generation live again.
    pub(crate) async fn rollback_plugin(self: &Arc<Self>, rollback: RollbackPlugin) -> Result<Live, Refusal> {
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        let live = next.live(&rollback.slot).cloned();
        let earlier = next.roll_back(&rollback.slot, rollback.generation)?;
        if live.is_some_and(|live| Arc::ptr_eq(&live, &earlier)) {
            return Ok(answer(&earlier, None));
        }
        let swapped = self.swap(next, &rollback.slot).await?;
        Ok(answer(&earlier, Some(&swapped)))
    }

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

    async fn swap(self: &Arc<Self>, next: Slots, slot: &Slot) -> Result<Swapped, Refusal> {
        let paths = self.paths();
        let core = Arc::clone(self);
        let (swapped, next) =
            tokio::task::spawn_blocking(move || swap(&core.parts.binder, &paths, &next).map(|swapped| (swapped, next)))
                .await
                .map_err(|error| lost(&error))??;
        let mut state = self.state();
        let label = |slots: &Slots| slots.live(slot).map(|live| live.label()).unwrap_or_default();
        let noted = Swap {
            slot: slot.to_string(),
            from: label(&state.slots),
            to: label(&next),
            pause_ns: swapped.pause_ns,
            rows_during: swapped.rows_during,
            handover: swapped.handover.clone(),
        };
        tracing::info!(slot = noted.slot, from = noted.from, to = noted.to, pause_ns = noted.pause_ns, "plugin switched");
        state.note(noted);
        state.slots = next;
        Ok(swapped)
    }

    /// The plugin that a load asks for. Blocks.
    fn generation(&self, load: LoadPlugin) -> Result<Generation, Refusal> {
        let (bytes, stem) = match (&load.path, &load.bytes_base64) {
            (Some(path), None) => (loading::read(path)?, loading::stem(path)),
            (None, Some(text)) => {
                let broken = |error| Refusal::new("request", format!("bytes_base64: {error}"), "send standard base64");
                (STANDARD.decode(text).map_err(broken)?, "unnamed".to_owned())
            }
            _ => return Err(Refusal::new("request", "exactly one of `path` and `bytes_base64` is needed", "give one of them")),
        };
        let inspection = loading::inspect(&bytes, &stem)?;
        let probes: Vec<String> = self.paths().iter().map(|path| path.name().to_owned()).collect();
        let slot = match load.slot {
            Some(slot) => slot,
            None => loading::infer(&inspection, &probes)?,
        };
        if let Slot::Decoder(probe) | Slot::SamplerOf(probe) = &slot
            && !probes.contains(probe)
        {
            let message = format!("there is no path `{probe}` for slot {slot}");
            return Err(Refusal::new("slot", message, format!("paths are {}", probes.join(", "))));
        }
        let slots = self.state().slots.clone();
        // A new version of the same plugin goes on with its configuration; another plugin would not understand it.
        let before = slots.live(&slot).filter(|live| live.inspection().name == inspection.name);
        let config = load.config.map(Arc::new).or_else(|| before.map(|live| Arc::clone(&live.config))).unwrap_or_default();
        let compiled = slots.compiled(&inspection);
        let order = Order { number: slots.next_number(&slot), slot, bytes: &bytes, stem: &stem, config, compiled };
        loading::compile(&self.engine, &self.settings.config, order)
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
            next.put(Arc::new(generation(&self.engine, &self.settings, next.next_number(&decoder), choice)?));
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

fn answer(live: &Generation, swapped: Option<&Swapped>) -> Live {
    let inspection = live.inspection();
    Live {
        slot: live.slot.clone(),
        name: inspection.name.clone(),
        version: inspection.version.clone(),
        digest: inspection.digest.to_string(),
        generation: live.number,
        pause_ns: swapped.map_or(0, |swapped| swapped.pause_ns),
        rows_during: swapped.map_or(0, |swapped| swapped.rows_during),
        unchanged: swapped.is_none(),
    }
}
