//! Ends the process if it does not end by itself: names the steps that hang and prints the last known ledger.
//!
//! Stopping waits for workers, a disk, the kernel, the reader of the output. Each wait has a deadline of its own; this one covers hangs
//! that none of them foresees.

use std::sync::{Arc, MutexGuard, Weak};
use std::time::{Duration, Instant};

use host_api::FinalReport;
use host_model::Lock;
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::Notify;

use crate::remnant::Remnant;
use crate::settings::LastWord;

/// The waits in progress, each with a name.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Lock<Vec<Arc<str>>>>);

/// One wait in progress. Dropping it marks it as done.
#[must_use]
pub(crate) struct Step {
    steps: Steps,
    name: Arc<str>,
}

/// Source of the final report.
pub(crate) trait Accounts: Send + Sync {
    /// Returns the last known report without asking a worker; None while the state is locked.
    fn try_report(&self, hung: &[String]) -> Option<FinalReport>;
}

/// Ends the process when its deadline passes.
pub(crate) struct LastResort {
    steps: Steps,
    within: Duration,
    word: Option<LastWord>,
    /// The time at which the process ends; set by the first request to stop.
    deadline: Lock<Option<Instant>>,
    armed: Notify,
    /// The source of the report to print; None until the daemon runs.
    accounts: Lock<Option<Weak<dyn Accounts>>>,
    remnants: Lock<Vec<Remnant>>,
}

/// Time for stopping, in addition to the time that the collector gets.
pub(crate) const STOPPING: Duration = Duration::from_secs(1);
/// Time between the deadline of stopping and the end of the process, for closing the control socket and printing the ledger.
const CLOSING: Duration = Duration::from_millis(400);
/// Maximum time to print the last words: their reader may hang as well.
const WORDS: Duration = Duration::from_millis(300);
/// Longer than any host runs.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Maximum wait for the lock on the state, which is only held briefly.
const LOOK: Duration = Duration::from_millis(100);

// === impl Steps ===

impl Steps {
    /// Records a wait in progress.
    pub(crate) fn begin(&self, name: impl Into<Arc<str>>) -> Step {
        let name = name.into();
        self.lock().push(Arc::clone(&name));
        Step { steps: self.clone(), name }
    }

    /// Returns the names of the waits in progress.
    pub(crate) fn now(&self) -> Vec<String> {
        self.lock().iter().map(ToString::to_string).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        self.0.lock()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let mut steps = self.steps.lock();
        if let Some(at) = steps.iter().position(|step| Arc::ptr_eq(step, &self.name)) {
            steps.remove(at);
        }
    }
}

// === impl LastResort ===

impl LastResort {
    /// `drain` is the time that the collector gets at the end. Without `word` the process is never ended for taking too long: it belongs to
    /// a program with other tasks.
    pub(crate) fn new(drain: Duration, word: Option<LastWord>) -> Arc<Self> {
        Arc::new(Self {
            steps: Steps::default(),
            within: drain.saturating_add(STOPPING + CLOSING),
            word,
            deadline: Lock::default(),
            armed: Notify::new(),
            accounts: Lock::default(),
            remnants: Lock::default(),
        })
    }

    /// Returns the waits in progress.
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Starts the deadline, at the first request to stop. Returns the deadline of stopping.
    pub(crate) fn arm(&self) -> Instant {
        let mut deadline = self.deadline.lock();
        let now = Instant::now();
        let end = *deadline.get_or_insert_with(|| now.checked_add(self.within).unwrap_or(now + FOR_EVER));
        self.armed.notify_one();
        end.checked_sub(CLOSING).unwrap_or(end)
    }

    /// Returns when the deadline has started.
    pub(crate) async fn armed(&self) {
        self.armed.notified().await;
    }

    /// Returns when the deadline has passed.
    pub(crate) async fn late(&self) {
        let deadline = *self.deadline.lock();
        match deadline.filter(|_| self.has_a_word()) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it ends the process at the deadline.
    pub(crate) fn has_a_word(&self) -> bool {
        self.word.is_some()
    }

    /// Sets the source of the report to print.
    pub(crate) fn watch<T: Accounts + 'static>(&self, accounts: &Arc<T>) {
        let accounts: Weak<T> = Arc::downgrade(accounts);
        *self.accounts.lock() = Some(accounts);
    }

    /// Adds files to remove at the end.
    pub(crate) fn owns(&self, remnants: impl IntoIterator<Item = Remnant>) {
        self.remnants.lock().extend(remnants);
    }

    /// Ends the process with code 1 after the deadline: names the steps that hang and prints the last known ledger.
    pub(crate) fn give_up(&self) {
        let Some(word) = self.word.clone() else { return };
        let mut hung = self.steps.now();
        if hung.is_empty() {
            // The only wait left is the command line's, for its output.
            hung.push("what is printed: the terminal or standard output takes nothing".into());
        }
        let until = Instant::now() + LOOK;
        let accounts = self.accounts.lock().as_ref().and_then(Weak::upgrade);
        let mut report = None;
        while report.is_none() && Instant::now() < until {
            report = accounts.as_ref().and_then(|accounts| accounts.try_report(&hung));
            if accounts.is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let report = report.unwrap_or_else(|| FinalReport::of_nothing(hung));
        self.end(1, move || word.say(&report));
    }

    /// Ends the process at a second signal, drained or not.
    pub(crate) fn end_at_once(&self, number: i32) {
        let word = self.word.clone();
        self.end(128 + number, move || {
            word.iter().for_each(LastWord::give_back);
            tracing::warn!("a second signal: ending at once");
        });
    }

    /// Prints the last words on another thread, because that may hang as well.
    fn end(&self, code: i32, words: impl FnOnce() + Send + 'static) {
        let (said, heard) = std::sync::mpsc::sync_channel(1);
        let speaking = std::thread::Builder::new().name("last-words".into()).spawn(move || {
            words();
            let _ = said.send(());
        });
        if speaking.is_ok() {
            let _ = heard.recv_timeout(WORDS);
        }
        self.remnants.lock().iter().for_each(Remnant::remove);
        // Even `exit` can hang, in a library's exit handler or because another thread is already ending the process.
        let _ = std::thread::Builder::new().name("last-resort".into()).spawn(|| {
            std::thread::sleep(WORDS);
            kill_process(getpid(), Signal::KILL)
        });
        std::process::exit(code);
    }
}
