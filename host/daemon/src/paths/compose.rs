//! The composition: builds a running path for a probe, in the order in which an event meets its parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use host_api::Step;
use host_export::Exporter;
use host_model::{Lock, PathCounters, Seed, Source};
use host_pipeline::{BatchLimits, Blueprint, Stages};
use tokio::sync::Notify;

use crate::config::Config;
use crate::error::DaemonError;
use crate::faults::observer::Watch;
use crate::faults::repro::Store;
use crate::faults::repro::writer::Writer;
use crate::faults::seldom::{INTERVAL, Seldom};
use crate::paths::path::{Path, Reads};
use crate::plugins::bind::{Binder, Place};
use crate::plugins::slots::{Lineup, Slots};
use crate::probes::attached::Opened;
use crate::probes::recorder::Recorder;

/// The parts that all paths share.
pub(crate) struct Parts {
    pub(crate) binder: Binder,
    pub(crate) exporter: Exporter,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) repro_writer: Option<Arc<Writer>>,
    /// The repros; None if they are disabled.
    pub(crate) repros: Option<Store>,
    /// Notified while a plugin is in quarantine.
    pub(crate) given_up: Arc<Notify>,
    pub(crate) limits: BatchLimits,
    /// Pinned ports, each with its protocol.
    pub(crate) pins: BTreeMap<u16, String>,
    /// Bytes captured of each call for protocols that do not set a number.
    pub(crate) capture_bytes: u32,
    /// The seed of sampling and of ids.
    pub(crate) seed: Seed,
}

/// Builds the path of one probe and starts it. Nothing is attached yet: no record is produced before it can be read. Blocks.
pub(crate) fn path(parts: &Parts, slots: &Slots, opened: Opened) -> Result<Path, DaemonError> {
    let Opened { place, source, attached } = opened;
    // A record comes out of the ring, and into a capture if one is being recorded,
    let source = match &parts.recorder {
        Some(recorder) => recorder.tap(&place, source),
        None => source,
    };
    // is decoded, sampled and enriched by the plugins in the slots, each bound to the layout or schema in front of it,
    let lineup = slots.lineup(&place.probe).ok_or_else(|| {
        DaemonError::new(
            Step::Bind,
            format!("path {} has no decoder", place.probe),
            format!("load one into decoder.{}", place.probe),
        )
    })?;
    let stages = parts.binder.stages(&place, &lineup)?;
    // and is exported; every step is counted.
    let blueprint = blueprint(parts, &place, stages, source, parts.limits);
    start(place, lineup, Reads::Probe(Box::new(Lock::new(attached))), blueprint)
}

/// Returns the blueprint of a path, with an exporter and an observer of faults.
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

/// Returns the observer of faults of a path.
pub(crate) fn watch(parts: &Parts, place: &Place) -> Watch {
    Watch {
        probe: Arc::clone(&place.probe),
        layout: Arc::clone(&place.layout),
        told: Lock::new(Seldom::new(INTERVAL)),
        writer: parts.repro_writer.clone(),
        given_up: Arc::clone(&parts.given_up),
    }
}

/// Starts a path.
pub(crate) fn start(place: Place, lineup: Lineup, reads: Reads, blueprint: Blueprint) -> Result<Path, DaemonError> {
    Ok(Path::start(place, lineup, reads, blueprint)?)
}

/// Returns the configured limits of a batch.
pub(crate) fn limits(config: &Config) -> BatchLimits {
    let defaults = BatchLimits::default();
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    BatchLimits {
        rows: config.batch.rows.map_or(defaults.rows, |rows| count(rows.max(1).into())),
        bytes: config.batch.bytes.map_or(defaults.bytes, |bytes| count(bytes.0)),
        // At least a millisecond: less would turn sleeping into spinning.
        age: config.batch.age.map_or(defaults.age, |age| age.0.max(Duration::from_millis(1))),
        metric_interval: config
            .metrics
            .interval
            .map_or(defaults.metric_interval, |interval| interval.0.max(Duration::from_millis(100))),
        metric_bytes: config.metrics.bytes.map_or(defaults.metric_bytes, |bytes| count(bytes.0)),
        cardinality: config.metrics.cardinality.map_or(defaults.cardinality, |series| count(series.into())),
    }
}
