//! Changes of what the slots hold, while events flow: plugins loaded, unloaded and rolled back.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host_model::Role;

use crate::config::digest_of;
use crate::control::message::{Live, LoadPlugin, Refusal, RollbackPlugin, ShadowState, UnloadPlugin};
use crate::daemon::{Core, lost, unix_ms};
use crate::lanes::{self, Followed};
use crate::loading::{self, Order};
use crate::path::Path;
use crate::slot::Slot;
use crate::slots::{Generation, Record, Slots};
use crate::status::Swap;
use crate::swap::{Swapped, swap};

type Json = serde_json::Map<String, serde_json::Value>;

/// A component that somebody wants in a slot.
pub(crate) struct Asked {
    pub(crate) path: Option<PathBuf>,
    pub(crate) bytes_base64: Option<String>,
    pub(crate) slot: Option<Slot>,
    pub(crate) config: Option<Json>,
    pub(crate) pin: Option<String>,
}

/// What became of the paths.
struct Made {
    swapped: Swapped,
    /// Paths of protocols that there were none for.
    new: Vec<Arc<Path>>,
    /// Paths of protocols that have ended.
    gone: Vec<Arc<Path>>,
}

/// A component that is compiled and may do what it wants to, before it has a number.
pub(crate) struct Prepared {
    generation: Generation,
    config: Option<Json>,
}

// === impl Core ===

impl Core {
    /// Loads a plugin; returns when it is live on every path. On an error everything is as it was.
    pub(crate) async fn load_plugin(self: &Arc<Self>, load: LoadPlugin) -> Result<Live, Refusal> {
        let LoadPlugin { path, bytes_base64, slot, config, pin } = load;
        let prepared = self.prepare(Asked { path, bytes_base64, slot, config, pin }).await?;
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        let made = prepared.numbered(&next);
        // One that was given up is not what was asked for: the same again is a new beginning.
        if let Some(live) = next.live(&made.slot).filter(|live| live.record().quarantined.is_none())
            && live.does_the_same(&made)
        {
            return Ok(answer(live, None));
        }
        let made = Arc::new(made);
        next.put(Arc::clone(&made));
        let swapped = self.swap(next, &made.slot, "load").await?;
        Ok(answer(&made, Some(&swapped)))
    }

    /// Empties a slot.
    pub(crate) async fn unload_plugin(self: &Arc<Self>, unload: UnloadPlugin) -> Result<Swap, Refusal> {
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        if next.live(&unload.slot).is_none() {
            let message = format!("slot {} is empty", unload.slot);
            return Err(Refusal::new("slot", message, "`host plugin list` shows what is where"));
        }
        next.clear(&unload.slot);
        self.swap(next, &unload.slot, "unload").await?;
        self.state().swaps.back().cloned().ok_or_else(|| Refusal::new("slot", "nothing was unloaded", ""))
    }

    /// Makes an earlier generation live again, also one that was quarantined: whoever asks for it knows why.
    pub(crate) async fn rollback_plugin(self: &Arc<Self>, rollback: RollbackPlugin) -> Result<Live, Refusal> {
        let _changes = self.changes.lock().await;
        let mut next = self.state().slots.clone();
        let live = next.live(&rollback.slot).cloned();
        let earlier = next.roll_back(&rollback.slot, rollback.generation)?;
        if live.is_some_and(|live| Arc::ptr_eq(&live, &earlier)) {
            return Ok(answer(&earlier, None));
        }
        let swapped = self.swap(next, &rollback.slot, "rollback").await?;
        Ok(answer(&earlier, Some(&swapped)))
    }

    /// Makes `next` what every path is made of, or none. Hold `changes` meanwhile.
    pub(crate) async fn swap(self: &Arc<Self>, next: Slots, slot: &Slot, reason: &str) -> Result<Swapped, Refusal> {
        let core = Arc::clone(self);
        let swapping = move || core.make(&next).map(|made| (made, next));
        let (Made { swapped, new, gone }, next) =
            tokio::task::spawn_blocking(swapping).await.map_err(|error| lost(&error))??;
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
        if let Some(live) = next.live(slot) {
            *live.record() = Record { since_unix_ms: *unix_ms, handover: handover.clone(), quarantined: None };
        }
        let now = if noted.to.is_empty() { "nothing".to_owned() } else { noted.to.clone() };
        state.note(noted);
        state.slots = next;
        // What it was compared with is gone.
        let shadows = state.shadows.iter_mut().filter(|run| run.slot() == slot);
        shadows.for_each(|run| run.end(ShadowState::Ended(format!("slot {slot} holds {now} now"))));
        Ok(swapped)
    }

    /// Makes every path what `next` says, or none; protocols that have a decoder get a path, and those without lose theirs. Blocks.
    fn make(&self, next: &Slots) -> Result<Made, Refusal> {
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

    /// Reads, inspects and compiles, which takes its time: nothing is changed, and nothing waits for it.
    pub(crate) async fn prepare(self: &Arc<Self>, asked: Asked) -> Result<Prepared, Refusal> {
        let core = Arc::clone(self);
        tokio::task::spawn_blocking(move || core.compile(asked)).await.map_err(|error| lost(&error))?
    }

    /// Blocks.
    fn compile(&self, asked: Asked) -> Result<Prepared, Refusal> {
        self.state().compiled = true;
        let pin = asked.pin.map(|pin| digest_of(&pin)).transpose();
        let pin = pin.map_err(|wrong| Refusal::new("pin", wrong, "pin the whole digest, or none"))?;
        let (bytes, stem) = match (&asked.path, &asked.bytes_base64) {
            (Some(path), None) => (loading::read(path, self.compiler.engine().execution())?, loading::stem(path)),
            (None, Some(text)) => {
                let broken = |error| Refusal::new("request", format!("bytes_base64: {error}"), "send standard base64");
                (STANDARD.decode(text).map_err(broken)?.into(), "unnamed".to_owned())
            }
            _ => return Err(Refusal::new("request", "exactly one of `path` and `bytes_base64` is needed", "give one of them")),
        };
        let inspection = loading::inspect(&bytes, &stem)?;
        let digest = inspection.digest.to_string();
        if let Some(pin) = pin.filter(|pin| *pin != digest) {
            let message = format!("{} has digest {digest}, not the pinned {pin}", inspection.label());
            return Err(Refusal::new("pin", message, "fetch the component that was pinned, or pin this one if it is meant"));
        }
        let probes: Vec<String> = self.paths().iter().map(|path| path.name().to_owned()).collect();
        // A decoder of a protocol brings its path along.
        let routed = self.trunk().is_some();
        let slot = match asked.slot {
            Some(slot) => slot,
            None => loading::infer(&inspection, &probes, routed)?,
        };
        if let Slot::Decoder(probe) | Slot::SamplerOf(probe) = &slot
            && !probes.contains(probe)
            && !(routed && inspection.protocol && slot.role() == Role::Decoder)
        {
            let message = format!("there is no path `{probe}` for slot {slot}");
            return Err(Refusal::new("slot", message, format!("paths are {}", probes.join(", "))));
        }
        let compiled = self.state().slots.compiled(&inspection);
        let order = Order { number: 0, slot, bytes, stem: &stem, config: Arc::default(), compiled };
        let rules = self.settings.config.with_rules_of_now();
        let rules = rules.map_err(|error| Refusal::new("configure", error.to_string(), error.cure()))?;
        let generation = loading::compile(&self.compiler, &rules, order)?;
        Ok(Prepared { generation, config: asked.config })
    }
}

// === impl Prepared ===

impl Prepared {
    /// The next generation of its slot. A new version of the same plugin goes on with the configuration of the one before;
    /// another plugin would not understand it.
    pub(crate) fn numbered(self, slots: &Slots) -> Generation {
        let Self { generation, config } = self;
        let name = &generation.inspection().name;
        let before = slots.live(&generation.slot).filter(|live| live.inspection().name == *name);
        let config = config.map(Arc::new).or_else(|| before.map(|live| Arc::clone(&live.config))).unwrap_or_default();
        Generation { number: slots.next_number(&generation.slot), config, ..generation }
    }
}

/// What is live now; None: it was before.
pub(crate) fn answer(live: &Generation, swapped: Option<&Swapped>) -> Live {
    let inspection = live.inspection();
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
    }
}
