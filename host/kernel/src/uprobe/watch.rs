//! The thread that keeps up with processes.

use std::os::fd::AsFd;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libbpf_rs::Object;

use super::tracer::{Programs, ScanReport, Tracer};
use crate::privileged;

/// Between two scans. One of a thousand processes that are all known takes some milliseconds.
const PERIOD: Duration = Duration::from_secs(1);
/// For which the start of the probe waits: so long, what is running is traced before it says that it is attached.
const FIRST: Duration = Duration::from_secs(5);

/// A tracer on a thread of its own. Dropping it ends the thread and detaches.
#[derive(Debug)]
pub(crate) struct Watch {
    hooks: Arc<Mutex<Vec<String>>>,
    /// Its end is the thread's.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

// === impl Watch ===

impl Watch {
    /// Starts, if the object has the programs for it, and waits for the first scan.
    pub(crate) fn start(probe: &str, object: &Object) -> Option<Self> {
        let programs = programs(object)?;
        let hooks = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = mpsc::channel();
        let (tell, scanned) = mpsc::channel();
        let (probe, told) = (probe.to_owned(), Arc::clone(&hooks));
        let work = move || {
            privileged::settle_breakpoints(true);
            let (mut tracer, mut settled) = (Tracer::new(programs), false);
            loop {
                let unfinished = scan(&probe, &mut tracer, &told);
                if !unfinished {
                    if !settled {
                        privileged::settle_breakpoints(false);
                        settled = true;
                    }
                    let _ = tell.send(());
                }
                match stopped.recv_timeout(if unfinished { PERIOD / 4 } else { PERIOD }) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return,
                }
            }
        };
        let thread = thread::Builder::new().name("uprobes".into()).spawn(work);
        let thread = thread.inspect_err(|error| tracing::warn!(%error, "TLS libraries are not traced: no thread")).ok()?;
        let _ = scanned.recv_timeout(FIRST);
        Some(Self { hooks, stop: Some(stop), thread: Some(thread) })
    }

    /// What is traced now.
    pub(crate) fn hooks(&self) -> Vec<String> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One scan, told to whoever asks for hooks and to the log; whether there is more to do.
fn scan(probe: &str, tracer: &mut Tracer, hooks: &Mutex<Vec<String>>) -> bool {
    let report = tracer.scan().unwrap_or_else(|error| {
        tracing::warn!(probe, %error, "processes cannot be listed: new TLS libraries are not traced");
        ScanReport::default()
    });
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
        *hooks.lock().unwrap_or_else(PoisonError::into_inner) = tracer.hooks();
    }
    tracing::trace!(probe, looked_at = report.looked_at, "processes scanned");
    report.unfinished
}

/// The programs, by the names that bpf/l7/tls.bpf.h gives them; they outlive the object's.
fn programs(object: &Object) -> Option<Programs> {
    let find = |name: &str| {
        let program = object.progs_mut().find(|program| program.name() == name && program.autoload())?;
        program.as_fd().try_clone_to_owned().ok()
    };
    Some(Programs { enter: find("tls_enter")?, leave: find("tls_return")?, go: find("tls_go")? })
}
