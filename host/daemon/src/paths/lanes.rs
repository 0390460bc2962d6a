//! The paths of protocols: composed with their trunk, and updated when the slots change.

use std::sync::Arc;

use host_api::{Slot, Step};
use host_model::{PathCounters, Recogniser, Source};
use host_pipeline::{BatchLimits, Stages};
use host_router::RunLimits;

use crate::error::DaemonError;
use crate::paths::compose::{self, Parts};
use crate::paths::path::{Path, Reads};
use crate::paths::trunk::Trunk;
use crate::plugins::bind::{Binder, Card, Place};
use crate::plugins::slots::{Lineup, Slots};
use crate::probes::attached::Opened;

/// All parts of a lane's path except the lane.
struct Bound {
    place: Place,
    lineup: Lineup,
    stages: Stages,
    recogniser: Box<dyn Recogniser>,
    card: Card,
}

/// The changes that bring the lanes in line with the slots. Everything is bound: no plugin can refuse any more.
pub(crate) struct Following {
    /// New lanes.
    new: Vec<Bound>,
    /// Lanes whose decoder has changed.
    changed: Vec<(Box<dyn Recogniser>, Card)>,
    /// Lanes without a decoder.
    gone: Vec<Arc<Path>>,
}

/// Lanes that have started, and those that have ended.
#[derive(Default)]
pub(crate) struct Followed {
    pub(crate) new: Vec<Arc<Path>>,
    pub(crate) gone: Vec<Arc<Path>>,
}

/// Composes the trunk of a probe that sees connections, and a path for each protocol in the slots. Nothing is attached yet. Blocks.
pub(crate) fn compose(
    parts: &Parts,
    slots: &Slots,
    opened: Opened,
    in_step: bool,
) -> Result<(Trunk, Vec<Arc<Path>>), DaemonError> {
    let Opened { place, source, attached } = opened;
    let source = match &parts.recorder {
        Some(recorder) => recorder.tap(&place, source),
        None => source,
    };
    let bound: Result<Vec<Bound>, DaemonError> =
        slots.protocols(&place.probe).iter().map(|name| bind(&parts.binder, slots, &place, name)).collect();
    let (mut recognisers, mut cards, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for Bound { place, lineup, stages, recogniser, card } in bound? {
        recognisers.push(recogniser);
        cards.push(card);
        rest.push((place, lineup, stages));
    }
    let counters = Arc::new(PathCounters::default());
    let trunk = host_router::Trunk {
        name: Arc::clone(&place.probe),
        source,
        layout: Arc::clone(&place.layout),
        maps: Arc::clone(&place.maps),
        observer: Arc::new(compose::watch(parts, &place)),
        counters: Arc::clone(&counters),
        limits: RunLimits { rows: parts.limits.rows, bytes: parts.limits.bytes, age: parts.limits.age },
        pins: parts.pins.clone(),
        capture_bytes: parts.capture_bytes,
        in_step,
    };
    let (router, lanes) = host_router::route(trunk, recognisers)?;
    let paths = lanes.into_iter().zip(rest).map(|(lane, bound)| path(parts, &place.probe, bound, lane));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    Ok((Trunk::new(place, counters, router, cards, attached), paths))
}

/// Binds everything needed to bring the lanes of `trunk` in line with `next`. `paths` are all paths. Blocks.
pub(crate) fn follow(parts: &Parts, trunk: &Trunk, paths: &[Arc<Path>], next: &Slots) -> Result<Following, DaemonError> {
    let mut following = Following { new: Vec::new(), changed: Vec::new(), gone: Vec::new() };
    let wanted = next.protocols(trunk.name());
    for name in &wanted {
        match paths.iter().find(|path| path.name() == name) {
            None => following.new.push(bind(&parts.binder, next, &trunk.place, name)?),
            Some(path) if path.is_lane() => {
                let made_of = path.made_of();
                let decoder = next.lineup(name).map(|lineup| lineup.decoder);
                if let Some(decoder) = decoder.filter(|decoder| !Arc::ptr_eq(decoder, &made_of.lineup.decoder)) {
                    let (recogniser, id) = parts.binder.recogniser(&path.place, &decoder)?;
                    check(name, &*recogniser)?;
                    following.changed.push((recogniser, Card::asked(id, &decoder, &made_of.schema)));
                }
            }
            // The name is that of a probe with its own path.
            Some(_) => {}
        }
    }
    let gone = paths.iter().filter(|path| path.is_lane() && wanted.iter().all(|name| path.name() != name));
    following.gone = gone.cloned().collect();
    Ok(following)
}

// === impl Following ===

impl Following {
    /// Whether a lane is to end.
    pub(crate) fn ends(&self, path: &Arc<Path>) -> bool {
        self.gone.iter().any(|gone| Arc::ptr_eq(gone, path))
    }

    /// Carries out the changes. Blocks.
    pub(crate) fn carry_out(self, parts: &Parts, trunk: &Trunk) -> Result<Followed, DaemonError> {
        for (recogniser, card) in self.changed {
            trunk.amend(recogniser, card)?;
        }
        for path in &self.gone {
            trunk.dismiss(path.name())?;
            path.stop();
        }
        let mut new = Vec::new();
        for Bound { place, lineup, stages, recogniser, card } in self.new {
            let lane = trunk.enlist(recogniser, card)?;
            new.push(path(parts, &trunk.place.probe, (place, lineup, stages), lane)?);
        }
        Ok(Followed { new, gone: self.gone })
    }
}

/// Binds the plugins of every protocol's path, to check that the slots fit the records of this probe. They live as long as the returned
/// value.
pub(crate) fn examine(binder: &Binder, slots: &Slots, trunk: &Place) -> Result<impl Sized, DaemonError> {
    slots.protocols(&trunk.probe).iter().map(|name| bind(binder, slots, trunk, name)).collect::<Result<Vec<_>, _>>()
}

/// Binds the plugins of one protocol's path, and the instance that the router calls.
fn bind(binder: &Binder, slots: &Slots, trunk: &Place, name: &str) -> Result<Bound, DaemonError> {
    let place = Place {
        probe: name.into(),
        layout: Arc::clone(&trunk.layout),
        maps: Arc::clone(&trunk.maps),
        clock: Arc::clone(&trunk.clock),
    };
    let lineup = slots.lineup(name).ok_or_else(|| {
        DaemonError::new(Step::Bind, format!("protocol {name} has no decoder"), format!("load one into decoder.{name}"))
    })?;
    let stages = binder.stages(&place, &lineup)?;
    let (recogniser, id) = binder.recogniser(&place, &lineup.decoder)?;
    check(name, &*recogniser)?;
    let card = Card::asked(id, &lineup.decoder, stages.decoder.schema());
    Ok(Bound { place, lineup, stages, recogniser, card })
}

/// Refuses a decoder in the slot of another protocol: it would get the wrong records.
fn check(name: &str, recogniser: &dyn Recogniser) -> Result<(), DaemonError> {
    let decodes = &recogniser.description().name;
    if decodes == name {
        return Ok(());
    }
    let message = format!("plugin {}: it decodes protocol {decodes}, not {name}", recogniser.id());
    Err(DaemonError::new(Step::Bind, message, format!("load it into slot {}", Slot::Decoder(decodes.clone()))))
}

/// Starts the path that reads a lane.
fn path(
    parts: &Parts,
    trunk: &Arc<str>,
    bound: (Place, Lineup, Stages),
    lane: Box<dyn Source>,
) -> Result<Arc<Path>, DaemonError> {
    let (place, lineup, stages) = bound;
    // The trunk has already used its half of the age.
    let limits = BatchLimits { age: parts.limits.age / 2, ..parts.limits };
    let blueprint = compose::blueprint(parts, &place, stages, lane, limits);
    compose::start(place, lineup, Reads::Trunk(Arc::clone(trunk)), blueprint).map(Arc::new)
}
