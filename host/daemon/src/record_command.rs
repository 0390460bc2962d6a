//! `host record`: writes the records of probes from their rings to a capture. Plugins do not run during recording, so payload that no
//! decoder asks for is captured too.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use host_api::Step;
use host_model::{Lock, Source, Waker};
use host_pipeline::BatchLimits;
use serde::Serialize;

use crate::error::DaemonError;
use crate::last_resort::LastResort;
use crate::probes::attached::Attached;
use crate::probes::attached::Opened;
use crate::probes::open::{open_all, reason};
use crate::probes::privilege;
use crate::probes::recorder::Recorder;
use crate::settings::Settings;
use crate::signals::{NEARLY_READY, Signals};

/// A recording in progress.
pub struct Recording {
    recorder: Recorder,
    probes: Vec<Reel>,
    signals: Signals,
    duration: Option<Duration>,
    broken: Arc<tokio::sync::Notify>,
}

/// Totals of one probe in a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The probe.
    pub probe: String,
    /// Records that were written to the file.
    pub records: u64,
    /// Bytes of these records before compression.
    pub bytes: u64,
    /// Records lost before they were read: the ring was full, or the kernel did not run the program.
    pub lost: u64,
}

/// One probe and the thread that reads its ring.
struct Reel {
    probe: String,
    attached: Lock<Attached>,
    stop: Arc<AtomicBool>,
    waker: Arc<dyn Waker>,
    thread: JoinHandle<Recorded>,
}

// === impl Recording ===

impl Recording {
    /// Starts; returns when every probe is attached. Settings of plugins, collectors and the socket are ignored.
    ///
    /// # Errors
    /// A probe requested by name cannot run, none can, or the file cannot be written.
    pub async fn start(settings: Settings, file: &Path) -> Result<Self, DaemonError> {
        let signals = Signals::listen(LastResort::new(Duration::ZERO, None));
        let signals = signals.map_err(DaemonError::Signals)?;
        settings.config.check()?;
        let file = file.to_owned();
        let begun = tokio::task::spawn_blocking(move || begin(&settings, &file).map(|begun| (begun, settings.duration)));
        let mut begun = std::pin::pin!(begun);
        let called_off = async {
            signals.ended().await;
            tokio::time::sleep(NEARLY_READY).await;
        };
        let begun = tokio::select! {
            begun = begun.as_mut() => begun,
            () = called_off => return Err(DaemonError::CalledOff("a signal ended it before it had begun".into())),
        };
        let ((recorder, probes, broken), duration) = begun??;
        privilege::settle()?;
        Ok(Self { recorder, probes, signals, duration, broken })
    }

    /// Returns the recorded probes with their hooks.
    #[must_use]
    pub fn probes(&self) -> Vec<host_model::Probe> {
        self.probes.iter().map(|reel| reel.attached.lock().probe().clone()).collect()
    }

    /// Returns when the recording is to stop: after a signal, the configured duration, or when the file can no longer be written.
    pub async fn wait(&mut self) {
        let over = async {
            match self.duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.signals.ended() => {}
            () = over => {}
            () = self.broken.notified() => {}
        }
    }

    /// Detaches, drains the rings, and closes the file.
    ///
    /// # Errors
    /// The file is incomplete.
    pub async fn stop(self) -> Result<Vec<Recorded>, DaemonError> {
        let Self { recorder, probes, .. } = self;
        let stopped = tokio::task::spawn_blocking(move || {
            probes.iter().for_each(Reel::detach);
            let recorded = probes.into_iter().map(|reel| reel.thread.join());
            let recorded: Vec<Recorded> = recorded.filter_map(Result::ok).collect();
            recorder.close().map(|()| recorded)
        });
        let stopped = stopped.await?;
        stopped.map_err(DaemonError::Recorded)
    }
}

type Begun = (Recorder, Vec<Reel>, Arc<tokio::sync::Notify>);

/// Loads the probes, opens the file, and attaches last. Blocks.
fn begin(settings: &Settings, file: &Path) -> Result<Begun, DaemonError> {
    let (opened, mut idle) = open_all(settings)?;
    let recorder = Recorder::begin(file, opened.iter().map(|opened| (&opened.place, &*opened.source)))?;
    let broken = Arc::new(tokio::sync::Notify::new());
    let mut reels = Vec::new();
    for (index, Opened { place, source, mut attached }) in opened.into_iter().enumerate() {
        let name = place.probe.to_string();
        if let Err(error) = attached.attach() {
            if settings.probes.contains(&name) {
                return Err(error.into());
            }
            tracing::warn!(probe = name, "{error}");
            idle.push(attached.probe().clone());
            continue;
        }
        let (stop, waker) = (Arc::new(AtomicBool::new(false)), source.waker());
        let tape =
            Tape { recorder: recorder.clone(), probe: index, source, stop: Arc::clone(&stop), broken: Arc::clone(&broken) };
        let thread = std::thread::Builder::new().name(format!("tape-{name}")).spawn({
            let name = name.clone();
            move || tape.run(name)
        });
        let thread = thread.map_err(|error| DaemonError::new(Step::Start, error.to_string(), "see the limits on threads"))?;
        reels.push(Reel { probe: name, attached: Lock::new(attached), stop, waker, thread });
    }
    if reels.is_empty() {
        let reasons: Vec<String> = idle.iter().filter_map(|probe| reason(&probe.state)).collect();
        return Err(DaemonError::NoProbe(reasons.join("; ")));
    }
    Ok((recorder, reels, broken))
}

// === impl Reel ===

impl Reel {
    /// Stops new records; those in the ring are still read.
    fn detach(&self) {
        tracing::debug!(probe = self.probe, "detaching");
        self.attached.lock().detach();
        self.stop.store(true, Relaxed);
        self.waker.wake();
    }
}

/// Copies runs from a ring to the file.
struct Tape {
    recorder: Recorder,
    probe: usize,
    source: Box<dyn Source>,
    stop: Arc<AtomicBool>,
    broken: Arc<tokio::sync::Notify>,
}

// === impl Tape ===

impl Tape {
    fn run(mut self, probe: String) -> Recorded {
        let BatchLimits { rows, bytes, age, .. } = BatchLimits::default();
        let mut recorded = Recorded { probe, records: 0, bytes: 0, lost: 0 };
        loop {
            // Read before the ring, so that every record from before the detach is taken.
            let last = self.stop.load(Relaxed) || self.source.ended();
            if !last {
                self.source.wait(bytes, age);
            }
            while self.source.waiting_bytes() > 0 {
                let run = self.source.run(rows, bytes);
                if run.bytes.is_empty() {
                    break;
                }
                if run.records > 0 && !self.recorder.push(self.probe, run) {
                    self.broken.notify_one();
                }
                recorded.records += u64::from(run.records);
                recorded.bytes += run.bytes.len() as u64;
                self.source.release();
            }
            if last {
                let counters = self.source.counters();
                recorded.lost = counters.lost + counters.missed;
                return recorded;
            }
        }
    }
}
