//! Changes of slots while events flow: load, unload and roll back plugins.

use std::path::PathBuf;
use std::sync::Arc;

use host_api::{
    Live, LoadPlugin, PathStatus, PluginOnPath, RollbackPlugin, ShadowState, Slot, SlotGeneration, Step, Swap, UnloadPlugin,
};
use host_model::{CallStats, Role};

use crate::clock::unix_ms;
use crate::config::digest_of;
use crate::daemon::Core;
use crate::error::DaemonError;
use crate::paths::lanes::{self, Followed};
use crate::paths::path::Path;
use crate::paths::swap::{Swapped, swap};
use crate::plugins::load::{self, Order};
use crate::plugins::slots::{Generation, Json, Record, Slots};

/// A request to put a component into a slot.
pub(crate) struct Asked {
    pub(crate) path: Option<PathBuf>,
    pub(crate) bytes_base64: Option<String>,
    pub(crate) slot: Option<Slot>,
    pub(crate) config: Option<Json>,
    pub(crate) pin: Option<String>,
}

/// The effect of a change on the paths.
struct Made {
    swapped: Swapped,
    /// Paths of protocols that had none before.
    new: Vec<Arc<Path>>,
    /// Paths of protocols that have ended.
    gone: Vec<Arc<Path>>,
}

/// A component that is compiled and granted, before it has a generation number.
pub(crate) struct Prepared {
    generation: Generation,
    config: Option<Json>,
}

// === impl Core ===

impl Core {
    /// Returns the plugins of each path.
    pub(crate) async fn plugins(&self) -> Vec<PluginOnPath> {
        let on_path =
            |path: PathStatus| path.plugins.into_iter().map(move |plugin| PluginOnPath { path: path.probe.clone(), plugin });
        self.path_statuses().await.into_iter().flat_map(on_path).collect()
    }

    /// Returns the generations of every slot, oldest first.
    pub(crate) fn slots(&self) -> Vec<SlotGeneration> {
        let slots = self.state().slots.clone();
        let told = |(generation, live): (&Arc<Generation>, bool)| {
            let faults = self.stats_of(generation).iter().map(|stats| stats.offences()).sum();
            generation.told(live, if live { faults } else { 0 })
        };
        slots.generations().map(told).collect()
    }

    /// Loads a plugin; returns when it is live on every path. An error leaves everything unchanged.
    pub(crate) async fn load_plugin(self: &Arc<Self>, load: LoadPlugin) -> Result<Live, DaemonError> {
        let LoadPlugin { path, bytes_base64, slot, config, pin } = load;
        let prepared = self.prepare(Asked { path, bytes_base64, slot, config, pin }).await?;
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        let made = prepared.numbered(&next);
        // A quarantined generation does not count as loaded: loading the same component again is a fresh start.
        if let Some(live) = next.live(&made.slot).filter(|live| live.record().quarantined.is_none())
            && live.does_the_same(&made)
        {
            return Ok(self.answer(live, None));
        }
        let given_up = next.given_up(&made);
        let made = Arc::new(made);
        next.put(Arc::clone(&made));
        let swapped = self.swap(next, &made.slot, "load").await?;
        let mut live = self.answer(&made, Some(&swapped));
        if let Some((number, why)) = given_up {
            tracing::warn!(slot = %made.slot, plugin = made.label(), why, "these bytes were quarantined before, as generation {number}");
            live.notes.push(format!("the same bytes were quarantined here before, as generation {number}: {why}"));
        }
        Ok(live)
    }

    /// Empties a slot.
    pub(crate) async fn unload_plugin(self: &Arc<Self>, unload: UnloadPlugin) -> Result<Swap, DaemonError> {
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        if next.live(&unload.slot).is_none() {
            let message = format!("slot {} is empty", unload.slot);
            return Err(DaemonError::new(Step::Slot, message, "`host plugin list` shows what is where"));
        }
        next.clear(&unload.slot);
        self.swap(next, &unload.slot, "unload").await?;
        self.state().swaps.back().cloned().ok_or_else(|| DaemonError::new(Step::Slot, "nothing was unloaded", ""))
    }

    /// Makes an earlier generation live again, even a quarantined one: the operator knows why.
    pub(crate) async fn rollback_plugin(self: &Arc<Self>, rollback: RollbackPlugin) -> Result<Live, DaemonError> {
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        let live = next.live(&rollback.slot).cloned();
        let earlier = next.roll_back(&rollback.slot, rollback.generation)?;
        if live.is_some_and(|live| Arc::ptr_eq(&live, &earlier)) {
            return Ok(self.answer(&earlier, None));
        }
        let swapped = self.swap(next, &rollback.slot, "rollback").await?;
        Ok(self.answer(&earlier, Some(&swapped)))
    }

    /// Switches every path to `next`, or none. The caller must hold `changes`.
    pub(crate) async fn swap(self: &Arc<Self>, next: Slots, slot: &Slot, reason: &str) -> Result<Swapped, DaemonError> {
        self.goes_on()?;
        let before = self.state().slots.live(slot).cloned();
        let stats: Vec<Arc<CallStats>> = before.iter().flat_map(|before| self.stats_of(before)).collect();
        let core = Arc::clone(self);
        let swapping = move || core.make(&next).map(|made| (made, next));
        let (Made { swapped, new, gone }, next) = tokio::task::spawn_blocking(swapping).await??;
        let mut state = self.state();
        state.paths.retain(|path| !gone.iter().any(|gone| Arc::ptr_eq(gone, path)));
        state.paths.extend(new);
        state.gone.extend(gone.iter().map(|lane| (lane.name().to_owned(), Arc::clone(&lane.counters))));
        let label = |slots: &Slots| slots.live(slot).map(|live| live.label()).unwrap_or_default();
        let noted = Swap {
            slot: slot.to_string(),
            from: label(&state.slots),
            to: label(&next),
            pause_ns: swapped.pause_ns,
            rows_during: swapped.rows_during,
            handover: swapped.handover.clone(),
            reason: reason.to_owned(),
            unix_ms: unix_ms(),
        };
        let Swap { from, to, pause_ns, handover, unix_ms, .. } = &noted;
        tracing::info!(%slot, from, to, pause_ns, handover, reason, "plugin switched");
        // The record of a generation that is live again starts anew; a path that was loaded meanwhile counts as well.
        if let Some(before) = &before {
            before.record().faults += stats.iter().map(|stats| stats.offences()).sum::<u64>();
        }
        if let Some(live) = next.live(slot) {
            *live.record() = Record { since_unix_ms: *unix_ms, handover: handover.clone(), ..Record::default() };
        }
        let now = if noted.to.is_empty() { "nothing".to_owned() } else { noted.to.clone() };
        state.note(noted);
        state.slots = next;
        // The plugin that it was compared with is gone.
        let shadows = state.shadows.iter_mut().filter(|run| run.is_beside(slot));
        shadows.for_each(|run| run.end(ShadowState::Ended(format!("slot {slot} holds {now} now"))));
        Ok(swapped)
    }

    /// Switches every path to `next`, or none. Protocols with a decoder get a path, those without lose theirs. Blocks.
    fn make(&self, next: &Slots) -> Result<Made, DaemonError> {
        let (paths, trunk) = (self.paths(), self.trunk());
        let following = trunk.as_ref().map(|trunk| lanes::follow(&self.parts, trunk, &paths, next)).transpose()?;
        let stay = |path: &&Arc<Path>| following.as_ref().is_none_or(|following| !following.ends(path));
        let staying: Vec<Arc<Path>> = paths.iter().filter(stay).cloned().collect();
        let swapped = swap(&self.parts.binder, &staying, next)?;
        let Followed { new, gone } = match trunk.zip(following) {
            Some((trunk, following)) => following.carry_out(&self.parts, &trunk)?,
            None => Followed::default(),
        };
        Ok(Made { swapped, new, gone })
    }

    /// Reads, inspects and compiles a component, which takes long: it changes nothing and delays nothing.
    pub(crate) async fn prepare(self: &Arc<Self>, asked: Asked) -> Result<Prepared, DaemonError> {
        let core = Arc::clone(self);
        tokio::task::spawn_blocking(move || core.compile(asked)).await?
    }

    /// Blocks.
    fn compile(&self, asked: Asked) -> Result<Prepared, DaemonError> {
        let pin = asked.pin.map(|pin| digest_of(&pin)).transpose();
        let pin = pin.map_err(|wrong| DaemonError::new(Step::Pin, wrong, "pin the whole digest, or none"))?;
        let (bytes, stem) = match (&asked.path, &asked.bytes_base64) {
            (Some(path), None) => (load::read(path, self.compiler.engine().execution())?, load::stem(path)),
            // If the request carries the bytes, the path only names them.
            (path, Some(text)) => {
                (load::decoded(text)?.into(), path.as_deref().map_or_else(|| "unnamed".to_owned(), load::stem))
            }
            (None, None) => {
                return Err(DaemonError::new(Step::Request, "a component is needed", "give `bytes_base64` or `path`"));
            }
        };
        let inspection = load::inspect(&bytes, &stem)?;
        let digest = inspection.digest.to_string();
        if let Some(pin) = pin.filter(|pin| *pin != digest) {
            let message = format!("{} has digest {digest}, not the pinned {pin}", inspection.label());
            return Err(DaemonError::new(
                Step::Pin,
                message,
                "fetch the component that was pinned, or pin this one if it is meant",
            ));
        }
        let probes: Vec<String> = self.paths().iter().map(|path| path.name().to_owned()).collect();
        // The decoder of a protocol needs no existing path.
        let routed = self.trunk().is_some();
        let slot = match asked.slot {
            Some(slot) => slot,
            None => load::infer(&inspection, &probes, routed)?,
        };
        if let Slot::Decoder(probe) = &slot
            && self.trunk().is_some_and(|trunk| trunk.name() == probe)
        {
            let message =
                format!("nothing would run it in slot {slot}: what probe {probe} sees goes to the decoders of protocols");
            return Err(DaemonError::new(Step::Slot, message, "load it into the slot of its protocol, such as decoder.http"));
        }
        if let Slot::Decoder(probe) | Slot::SamplerOf(probe) = &slot
            && !probes.contains(probe)
            && !(routed && inspection.protocol && slot.role() == Role::Decoder)
        {
            let message = format!("there is no path `{probe}` for slot {slot}");
            return Err(DaemonError::new(Step::Slot, message, format!("paths are {}", probes.join(", "))));
        }
        let compiled = self.state().slots.compiled(&inspection);
        let rules = self.settings.config.with_rules_of_now();
        let rules = rules?;
        let of_file = load::configured(&rules, &slot, &inspection, asked.path.as_deref()).map(Arc::new).unwrap_or_default();
        let order = Order { number: 0, slot, bytes, stem: &stem, config: of_file, compiled };
        let generation = load::compile(&self.compiler, &rules, order)?;
        Ok(Prepared { generation, config: asked.config })
    }
}

// === impl Prepared ===

impl Prepared {
    /// Returns the next generation of its slot, with the configuration given with it. Without one the plugin keeps the configuration that
    /// it had in this slot, as a new version does; but a changed configuration in the file comes first.
    pub(crate) fn numbered(self, slots: &Slots) -> Generation {
        let Self { generation, config } = self;
        let of_file = &generation.of_file;
        let name = &generation.inspection().name;
        // A path that gets its own sampler used that of all paths before.
        let inherited = || slots.serving(&generation.slot).filter(|live| live.inspection().name == *name);
        let before = slots.last_named(&generation.slot, name).or_else(inherited);
        let config = match (config, before) {
            (Some(given), _) => Arc::new(given),
            (None, Some(before)) if before.of_file == *of_file || of_file.is_empty() => Arc::clone(&before.config),
            (None, _) => Arc::clone(of_file),
        };
        Generation { number: slots.next_number(&generation.slot), config, ..generation }
    }
}

// === impl Core ===

impl Core {
    /// Describes the live generation. `swapped` is None if it was live before.
    pub(crate) fn answer(&self, live: &Generation, swapped: Option<&Swapped>) -> Live {
        let inspection = live.inspection();
        let on = |path: &Arc<Path>| path.made_of().cards.iter().any(|card| std::ptr::eq(&*card.generation, live));
        let paths: Vec<String> = self.paths().iter().filter(|path| on(path)).map(|path| path.name().to_owned()).collect();
        let mut notes = Vec::new();
        if paths.is_empty() {
            notes.push("no path runs it now".to_owned());
        }
        Live {
            slot: live.slot.clone(),
            name: inspection.name.clone(),
            version: inspection.version.clone(),
            digest: inspection.digest.to_string(),
            generation: live.number,
            pause_ns: swapped.map_or(0, |swapped| swapped.pause_ns),
            rows_during: swapped.map_or(0, |swapped| swapped.rows_during),
            handover: swapped.map_or_else(String::new, |swapped| swapped.handover.clone()),
            unchanged: swapped.is_none(),
            paths,
            notes,
        }
    }

    /// Returns the call statistics of a generation, one for each path it works on and one for the router if that calls it.
    pub(crate) fn stats_of(&self, generation: &Arc<Generation>) -> Vec<Arc<CallStats>> {
        let cards = self.paths().into_iter().flat_map(|path| path.made_of().cards.iter().cloned().collect::<Vec<_>>());
        let asked = self.trunk().map(|trunk| trunk.asked()).unwrap_or_default();
        let of_it = cards.chain(asked).filter(|card| Arc::ptr_eq(&card.generation, generation));
        of_it.map(|card| card.stats).collect()
    }
}
