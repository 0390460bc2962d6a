//! The composition: from a probe to a running path, in the order in which an event meets its parts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_export::Exporter;
use host_kernel::KernelError;
use host_model::{PathCounters, Probe, ProbeState, Seed, Source};
use host_pipeline::{BatchLimits, Blueprint, Stages};
use host_plugin::SystemClock;
use tokio::sync::Notify;

use crate::attached::Attached;
use crate::bind::{Binder, Place};
use crate::config::Config;
use crate::control::message::Refusal;
use crate::faults::{INTERVAL, Seldom, Watch};
use crate::path::{Path, Reads};
use crate::privilege;
use crate::record::Recorder;
use crate::repro::Shelf;
use crate::repro::keeper::Keeper;
use crate::slots::{Lineup, Slots};
use crate::wanted::Wanted;

/// A probe with its record and its ring, before anything reads it.
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) source: Box<dyn Source>,
    pub(crate) attached: Attached,
}

/// What all paths share.
pub(crate) struct Parts {
    pub(crate) binder: Binder,
    pub(crate) exporter: Exporter,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// Where the keeper keeps.
    pub(crate) shelf: Option<Shelf>,
    /// Fires while a plugin is in quarantine.
    pub(crate) given_up: Arc<Notify>,
    pub(crate) limits: BatchLimits,
    /// Ports and the protocols that are spoken there.
    pub(crate) pins: BTreeMap<u16, String>,
    /// Bytes of each call for protocols that do not say how many they want.
    pub(crate) capture_bytes: u32,
    /// What rows are sampled by, and ids derived from.
    pub(crate) seed: Seed,
}

/// Builds the path of one probe and starts it. Nothing is attached yet: nothing is produced before it can be read. Blocks.
pub(crate) fn path(parts: &Parts, slots: &Slots, opened: Opened) -> Result<Path, Refusal> {
    let Opened { place, source, attached } = opened;
    // The record comes out of the ring, and into a capture if one is taken,
    let source = match &parts.recorder {
        Some(recorder) => recorder.tap(&place, source),
        None => source,
    };
    // is decoded, sampled and enriched by what is in the slots, each bound to the layout or schema in front of it,
    let lineup = slots.lineup(&place.probe).ok_or_else(|| {
        Refusal::new("bind", format!("path {} has no decoder", place.probe), format!("load one into decoder.{}", place.probe))
    })?;
    let stages = parts.binder.stages(&place, &lineup)?;
    // and goes out; every step is counted.
    let blueprint = blueprint(parts, &place, stages, source, parts.limits);
    start(place, lineup, Reads::Probe(Box::new(Mutex::new(attached))), blueprint)
}

/// What a path is made of, with a way out and somebody who is told of faults.
pub(crate) fn blueprint(
    parts: &Parts,
    place: &Place,
    stages: Stages,
    source: Box<dyn Source>,
    limits: BatchLimits,
) -> Blueprint {
    let counters = Arc::new(PathCounters::default());
    let sink = parts.exporter.sink(&place.probe, Arc::clone(&counters.delivery));
    let observer = Arc::new(watch(parts, place));
    Blueprint { name: Arc::clone(&place.probe), source, stages, sink, observer, counters, limits, seed: parts.seed.clone() }
}

/// Who is told of faults at a place.
pub(crate) fn watch(parts: &Parts, place: &Place) -> Watch {
    Watch {
        probe: Arc::clone(&place.probe),
        layout: Arc::clone(&place.layout),
        told: Mutex::new(Seldom::new(INTERVAL)),
        keeper: parts.keeper.clone(),
        given_up: Arc::clone(&parts.given_up),
    }
}

/// Starts a path.
pub(crate) fn start(place: Place, lineup: Lineup, reads: Reads, blueprint: Blueprint) -> Result<Path, Refusal> {
    Path::start(place, lineup, reads, blueprint)
        .map_err(|error| Refusal::new("start", error.to_string(), "see the limits on threads of this process"))
}

/// Loads a probe into the kernel. Nothing is attached yet. Blocks.
pub(crate) fn open(wanted: &Wanted) -> Result<Opened, Refusal> {
    let object = wanted.object.read()?;
    let mut loaded = host_kernel::load(&wanted.name, &object, &wanted.options).map_err(kernel)?;
    let source = loaded.source().map_err(kernel)?;
    let layout = loaded.layout().clone();
    let clock = Arc::new(SystemClock);
    let place = Place { probe: wanted.name.as_str().into(), layout: Arc::new(layout.clone()), maps: loaded.maps(), clock };
    let probe = Probe {
        name: wanted.name.clone(),
        built_in: wanted.object.built_in(),
        state: ProbeState::Detached,
        hooks: Vec::new(),
        passed_over: Vec::new(),
        layout: Some(layout),
        ring_bytes: loaded.ring_bytes(),
        capabilities: loaded.capabilities().into_iter().map(str::to_owned).collect(),
    };
    Ok(Opened { place, source, attached: Attached::loaded(probe, loaded) })
}

/// When a batch closes, by the configuration.
pub(crate) fn limits(config: &Config) -> BatchLimits {
    let defaults = BatchLimits::default();
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    BatchLimits {
        rows: config.batch.rows.map_or(defaults.rows, |rows| count(rows.max(1).into())),
        bytes: config.batch.bytes.map_or(defaults.bytes, |bytes| count(bytes.0)),
        // A millisecond: less would turn napping into spinning.
        age: config.batch.age.map_or(defaults.age, |age| age.0.max(Duration::from_millis(1))),
        metric_interval: config
            .metrics
            .interval
            .map_or(defaults.metric_interval, |interval| interval.0.max(Duration::from_millis(100))),
        metric_bytes: config.metrics.bytes.map_or(defaults.metric_bytes, |bytes| count(bytes.0)),
        cardinality: config.metrics.cardinality.map_or(defaults.cardinality, |series| count(series.into())),
    }
}

/// A kernel's refusal; its text ends in the cure.
pub(crate) fn kernel(error: KernelError) -> Refusal {
    match error {
        KernelError::Permission { .. } => {
            Refusal::new(privilege::STEP, error.to_string(), "`host doctor --caps` prints what it takes")
        }
        _ => Refusal::new(
            "probe",
            error.to_string(),
            "`host doctor` tells what this machine lacks; --probe NAME runs the others alone",
        ),
    }
}
