//! A capture recorded during a run: every run of records that a path releases is also written to a file.

use std::fs::File;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use host_export::capture::{CaptureError, CapturedProbe, Writer};
use host_kernel::file::PATIENCE;
use host_kernel::privileged;
use host_model::{KernelCounters, KernelPlan, Lock, PlanError, Run, Source, Waker};
use host_plugin::{Clock, SystemClock};

use crate::error::DaemonError;
use crate::plugins::bind::Place;

/// One capture file for all the paths of a run.
#[derive(Clone)]
pub(crate) struct Recorder {
    probes: Arc<[String]>,
    tape: Arc<Lock<Tape>>,
}

/// None once it is finished, or a write has failed: a full disk ends the capture, not the path.
struct Tape {
    writer: Option<Writer<BufWriter<File>>>,
    /// The reason why it is incomplete.
    broken: Option<CaptureError>,
}

/// A source whose released runs are written to the capture.
struct Tap {
    source: Box<dyn Source>,
    recorder: Recorder,
    probe: usize,
    /// The limits of the last request for a run.
    asked: (usize, usize),
}

// === impl Recorder ===

impl Recorder {
    /// Begins a capture of these probes. The offset from their clock to Unix time is that of the first.
    pub(crate) fn begin<'a>(
        file: &Path,
        sources: impl Iterator<Item = (&'a Place, &'a dyn Source)>,
    ) -> Result<Self, DaemonError> {
        let (places, sources): (Vec<_>, Vec<_>) = sources.unzip();
        let offset = sources.first().map_or(0, |source| source.unix_offset_ns());
        let probes: Vec<CapturedProbe> = places
            .iter()
            .map(|place| CapturedProbe { name: place.probe.to_string(), layout: Some((*place.layout).clone()) })
            .collect();
        // Readable by this user alone: it holds data that programs sent.
        let options = File::options().write(true).create(true).truncate(true).mode(0o600).clone();
        let named = file.to_owned();
        let writer = privileged::read(PATIENCE, move || options.open(named))
            .unwrap_or_else(|late| Err(std::io::Error::other(late)))
            .map_err(CaptureError::from)
            .and_then(|file| Writer::new(BufWriter::new(file), offset, &probes))
            .map_err(|error| DaemonError::Record { file: file.to_owned(), error })?;
        let names = probes.into_iter().map(|probe| probe.name).collect();
        Ok(Self { probes: names, tape: Arc::new(Lock::new(Tape { writer: Some(writer), broken: None })) })
    }

    /// Returns a source that is recorded, or `source` for a probe that was loaded after the capture began.
    pub(crate) fn tap(&self, place: &Place, source: Box<dyn Source>) -> Box<dyn Source> {
        match self.probes.iter().position(|probe| **probe == *place.probe) {
            Some(probe) => Box::new(Tap { source, recorder: self.clone(), probe, asked: (0, 0) }),
            None => source,
        }
    }

    /// Ends the capture.
    pub(crate) fn finish(&self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the end of the capture was not written");
        }
    }

    /// Ends the capture; an error if it is incomplete.
    pub(crate) fn close(&self) -> Result<(), CaptureError> {
        let mut tape = self.tape();
        let Some(writer) = tape.writer.take() else { return tape.broken.take().map_or(Ok(()), Err) };
        writer.finish()?.into_inner().map(drop).map_err(|error| error.into_error().into())
    }

    /// Writes a run. False if the file can no longer be written.
    pub(crate) fn push(&self, probe: usize, run: Run<'_>) -> bool {
        let mut tape = self.tape();
        let Some(writer) = &mut tape.writer else { return false };
        if let Err(error) = writer.push(probe, SystemClock.monotonic(), run) {
            tracing::error!(%error, "the capture ends here");
            (tape.writer, tape.broken) = (None, Some(error));
        }
        tape.writer.is_some()
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock()
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
        // The same run is returned again until it is released.
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

    fn time_ns(&self) -> Option<u64> {
        self.source.time_ns()
    }
}
