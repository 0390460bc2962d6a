//! The thread that traces new processes.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use libbpf_rs::Object;

use host_model::Lock;

use super::news::{Bell, News, Woken};
use super::tracer::{Programs, ScanReport, Tracer};
use crate::privileged;

/// Interval between two scans. A scan of a thousand known processes takes some milliseconds.
const PERIOD: Duration = Duration::from_secs(1);
/// Maximum time that the probe's start waits for the first scan of running processes.
const FIRST: Duration = Duration::from_secs(5);
/// Minimum time between two looks at new processes; where many programs start, nine times as long as a look has taken.
const BREATH: Duration = Duration::from_millis(2);
/// Maximum time that the probe's end waits for the thread: it reads files of other users, and a file system may never answer.
const LAST: Duration = Duration::from_secs(3);

/// A tracer on a thread of its own. Dropping it ends the thread and detaches.
#[derive(Debug)]
pub(crate) struct Watch {
    hooks: Arc<Lock<Vec<String>>>,
    bell: Bell,
    /// Disconnects when the thread ends.
    ended: Receiver<()>,
}

/// The state of the thread.
struct Watcher {
    probe: String,
    tracer: Tracer,
    news: News,
    hooks: Arc<Lock<Vec<String>>>,
}

// === impl Watch ===

impl Watch {
    /// Starts the thread, if the object has the programs for it, and waits for the first scan.
    pub(crate) fn start(probe: &str, object: &Object) -> Option<Self> {
        let programs = programs(object)?;
        let untraced = |error: std::io::Error| tracing::warn!(%error, "TLS libraries are not traced: no thread");
        let bell = Bell::new().map_err(untraced).ok()?;
        let hooks = Arc::new(Lock::new(Vec::new()));
        let (alive, ended) = mpsc::channel();
        let (tell, scanned) = mpsc::channel();
        let (probe, told, heard) = (probe.to_owned(), Arc::clone(&hooks), bell.clone());
        let work = move || {
            let _alive: Sender<()> = alive;
            privileged::settle_breakpoints(true);
            let news = News::open(heard.clone()).unwrap_or_else(|error| {
                tracing::info!(probe, %error, "programs that live for less than a second may not have their TLS traced");
                News::none(heard)
            });
            Watcher { probe, tracer: Tracer::new(programs), news, hooks: told }.run(&tell);
        };
        thread::Builder::new().name("uprobes".into()).spawn(work).map_err(untraced).ok()?;
        let _ = scanned.recv_timeout(FIRST);
        Some(Self { hooks, bell, ended })
    }

    /// The hooks that are traced now.
    pub(crate) fn hooks(&self) -> Vec<String> {
        self.hooks.lock().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bell.ring();
        if self.ended.recv_timeout(LAST) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a file of a process cannot be read and is not waited for: its breakpoints go with this program");
        }
    }
}

// === impl Watcher ===

impl Watcher {
    /// Scans, reports each complete scan to the starter, and handles mappings as they come, until the bell rings.
    fn run(mut self, tell: &Sender<()>) {
        let mut settled = false;
        loop {
            let unfinished = self.scan();
            if !unfinished {
                if !settled {
                    privileged::settle_breakpoints(false);
                    settled = true;
                }
                let _ = tell.send(());
            }
            if self.listen(if unfinished { PERIOD / 4 } else { PERIOD }) == Woken::Stopped {
                return;
            }
        }
    }

    /// Handles mappings as they come, for `most`.
    fn listen(&mut self, most: Duration) -> Woken {
        let until = Instant::now() + most;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.news.wait(left) {
                Woken::Told => {}
                other => return other,
            }
            let began = Instant::now();
            let report = self.tracer.hear(&self.news.take());
            self.tell(&report);
            let pause = (began.elapsed() * 9).clamp(BREATH, PERIOD);
            if self.news.pause(pause) == Woken::Stopped {
                return Woken::Stopped;
            }
        }
    }

    /// Runs one scan; returns whether processes are left.
    fn scan(&mut self) -> bool {
        let report = self.tracer.scan().unwrap_or_else(|error| {
            tracing::warn!(probe = self.probe, %error, "processes cannot be listed: new TLS libraries are not traced");
            ScanReport::default()
        });
        self.tell(&report);
        tracing::trace!(probe = self.probe, looked_at = report.looked_at, "processes scanned");
        report.unfinished
    }

    /// Reports changes: to callers of [`Watch::hooks`], and in the log.
    fn tell(&self, report: &ScanReport) {
        let probe = &self.probe;
        for (path, reason) in &report.failed {
            tracing::warn!(probe, path, reason, "its TLS is not traced");
        }
        for hook in &report.attached {
            tracing::info!(probe, hook, "TLS library traced");
        }
        for hook in &report.dropped {
            tracing::debug!(probe, hook, "TLS library no longer in use");
        }
        if !report.attached.is_empty() || !report.dropped.is_empty() {
            *self.hooks.lock() = self.tracer.hooks();
        }
    }
}

/// Returns the programs, by their names in bpf/l7/tls.bpf.h, as descriptors that outlive the object.
fn programs(object: &Object) -> Option<Programs> {
    let find = |name: &str| {
        let program = object.progs_mut().find(|program| program.name() == name && program.autoload())?;
        program.as_fd().try_clone_to_owned().ok()
    };
    Some(Programs { enter: find("tls_enter")?, leave: find("tls_return")?, go: find("tls_go")? })
}
