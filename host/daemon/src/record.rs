//! A capture taken on the way: every run that a path releases is also written to a file.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host_export::capture::{CaptureError, CapturedProbe, Writer};
use host_model::{KernelCounters, KernelPlan, PlanError, Run, Source, Waker};
use host_plugin::{Clock, SystemClock};

use crate::bind::Place;
use crate::control::message::Refusal;

/// One capture file for all the paths of a run.
#[derive(Clone)]
pub(crate) struct Recorder {
    probes: Arc<[String]>,
    tape: Arc<Mutex<Tape>>,
}

/// None once it is finished, or a write has failed: a full disk ends the capture, not the path.
struct Tape {
    writer: Option<Writer<BufWriter<File>>>,
}

/// A source whose released runs are written.
struct Tap {
    source: Box<dyn Source>,
    recorder: Recorder,
    probe: usize,
    /// How the last run was asked for.
    asked: (usize, usize),
}

// === impl Recorder ===

impl Recorder {
    /// Begins a capture of these probes. What turns their clock into Unix time is taken from the first.
    pub(crate) fn begin<'a>(file: &Path, sources: impl Iterator<Item = (&'a Place, &'a dyn Source)>) -> Result<Self, Refusal> {
        let (places, sources): (Vec<_>, Vec<_>) = sources.unzip();
        let offset = sources.first().map_or(0, |source| source.unix_offset_ns());
        let probes: Vec<CapturedProbe> = places
            .iter()
            .map(|place| CapturedProbe { name: place.probe.to_string(), layout: Some((*place.layout).clone()) })
            .collect();
        let writer = File::create(file)
            .map_err(CaptureError::from)
            .and_then(|file| Writer::new(BufWriter::new(file), offset, &probes))
            .map_err(|error| {
                Refusal::new("record", format!("{}: {error}", file.display()), "name a file that can be written")
            })?;
        let names = probes.into_iter().map(|probe| probe.name).collect();
        Ok(Self { probes: names, tape: Arc::new(Mutex::new(Tape { writer: Some(writer) })) })
    }

    /// A source that is recorded. A probe that was loaded after the capture was begun is not.
    pub(crate) fn tap(&self, place: &Place, source: Box<dyn Source>) -> Box<dyn Source> {
        match self.probes.iter().position(|probe| **probe == *place.probe) {
            Some(probe) => Box::new(Tap { source, recorder: self.clone(), probe, asked: (0, 0) }),
            None => source,
        }
    }

    /// Ends the capture.
    pub(crate) fn finish(&self) {
        let writer = self.tape().writer.take();
        let finished = writer.map(Writer::finish).transpose().map(|file| file.map(|file| file.into_inner().map(drop)));
        match finished {
            Ok(None | Some(Ok(()))) => {}
            Ok(Some(Err(error))) => tracing::error!(error = %error.error(), "the end of the capture was not written"),
            Err(error) => tracing::error!(%error, "the end of the capture was not written"),
        }
    }

    fn push(&self, probe: usize, run: Run<'_>) {
        let mut tape = self.tape();
        let Some(writer) = &mut tape.writer else { return };
        if let Err(error) = writer.push(probe, SystemClock.monotonic(), run) {
            tracing::error!(%error, "the capture ends here");
            tape.writer = None;
        }
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Tap ===

impl Source for Tap {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        self.source.wait(ready_bytes, timeout);
    }

    fn waiting_bytes(&self) -> usize {
        self.source.waiting_bytes()
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        self.asked = (max_records, max_bytes);
        self.source.run(max_records, max_bytes)
    }

    fn release(&mut self) {
        let (max_records, max_bytes) = self.asked;
        // Until it is released, the same run comes again.
        let run = self.source.run(max_records, max_bytes);
        if run.records > 0 {
            self.recorder.push(self.probe, run);
        }
        self.source.release();
    }

    fn waiting_records(&mut self) -> u64 {
        self.source.waiting_records()
    }

    fn counters(&mut self) -> KernelCounters {
        self.source.counters()
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        self.source.apply(plan)
    }

    fn ended(&self) -> bool {
        self.source.ended()
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.source.waker()
    }

    fn unix_offset_ns(&self) -> u64 {
        self.source.unix_offset_ns()
    }
}
