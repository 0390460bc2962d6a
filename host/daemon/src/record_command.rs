//! `host record`: what probes write, from their rings into a capture. No plugin sees it and nobody answers for it, so that what no
//! decoder wants is recorded as whole as the rest.

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

/// A recording that is on.
pub struct Recording {
    recorder: Recorder,
    probes: Vec<Reel>,
    signals: Signals,
    duration: Option<Duration>,
    broken: Arc<tokio::sync::Notify>,
}

/// What is in a capture of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The probe.
    pub probe: String,
    /// Records that were written to the file.
    pub records: u64,
    /// Their bytes before they were compressed.
    pub bytes: u64,
    /// What never arrived: it found no room in the ring, or the kernel ran no program for it.
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
    /// Begins: returns when every probe is attached. What the settings say of plugins, collectors and the socket is not looked at.
    ///
    /// # Errors
    /// A probe that was asked for by name cannot run, none can, or the file cannot be written.
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

    /// What is recorded: each probe with what it hangs on.
    #[must_use]
    pub fn probes(&self) -> Vec<host_model::Probe> {
        self.probes.iter().map(|reel| reel.attached.lock().probe().clone()).collect()
    }

    /// Returns when it is time to stop: after a signal, the time it was given, or when the file takes no more.
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

    /// Detaches, takes what is left in the rings, and ends the file.
    ///
    /// # Errors
    /// The file is not whole.
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

/// Loads, opens the file, and attaches last. Blocks.
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
    /// From here on nothing comes; what is in the ring is still taken.
    fn detach(&self) {
        tracing::debug!(probe = self.probe, "detaching");
        self.attached.lock().detach();
        self.stop.store(true, Relaxed);
        self.waker.wake();
    }
}

/// Moves runs from a ring to the file.
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
            // Read before the ring is: what came before the detaching is taken.
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
