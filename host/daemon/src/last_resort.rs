//! The end of the process when it does not end by itself: what hangs is named, what is known is said, and it is over.
//!
//! Stopping waits for others: for workers, for a disk, for the kernel, for whoever reads the output. Each wait has a deadline of its
//! own; this is for those that nobody thought of.

use std::sync::{Arc, MutexGuard, Weak};
use std::time::{Duration, Instant};

use host_api::FinalReport;
use host_model::Lock;
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::Notify;

use crate::remnant::Remnant;
use crate::settings::LastWord;

/// What is waited for at this moment, each with who waits.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Lock<Vec<Arc<str>>>>);

/// One thing that is waited for. Dropping it says that it has come.
#[must_use]
pub(crate) struct Step {
    steps: Steps,
    name: Arc<str>,
}

/// What knows of every record.
pub(crate) trait Accounts: Send + Sync {
    /// What is known of every record without asking anybody; None while somebody has the state.
    fn try_report(&self, hung: &[String]) -> Option<FinalReport>;
}

/// What ends the process.
pub(crate) struct LastResort {
    steps: Steps,
    within: Duration,
    word: Option<LastWord>,
    /// When the process ends; set by whoever asks for the end first.
    deadline: Lock<Option<Instant>>,
    armed: Notify,
    /// Whose ledger is told; None until there is one.
    accounts: Lock<Option<Weak<dyn Accounts>>>,
    remnants: Lock<Vec<Remnant>>,
}

/// What stopping may take besides the time that the collector gets.
pub(crate) const STOPPING: Duration = Duration::from_secs(1);
/// From the deadline of stopping to the end of the process: for closing the control socket and printing the ledger.
const CLOSING: Duration = Duration::from_millis(400);
/// What the last words may take: whoever reads them may hang as well.
const WORDS: Duration = Duration::from_millis(300);
/// Longer than any host runs.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Time to look at the state, which is never locked for long.
const LOOK: Duration = Duration::from_millis(100);

// === impl Steps ===

impl Steps {
    /// Says that this is waited for.
    pub(crate) fn begin(&self, name: impl Into<Arc<str>>) -> Step {
        let name = name.into();
        self.lock().push(Arc::clone(&name));
        Step { steps: self.clone(), name }
    }

    /// What is waited for.
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
    /// Of a process whose collector gets `drain` at the end. Without a word to say it never ends the process for taking too long: that
    /// belongs to a program with other things to do.
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

    /// What is waited for.
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// An end was asked for: from here on the time runs. Returns until when stopping may take.
    pub(crate) fn arm(&self) -> Instant {
        let mut deadline = self.deadline.lock();
        let now = Instant::now();
        let end = *deadline.get_or_insert_with(|| now.checked_add(self.within).unwrap_or(now + FOR_EVER));
        self.armed.notify_one();
        end.checked_sub(CLOSING).unwrap_or(end)
    }

    /// Returns when the time has begun to run.
    pub(crate) async fn armed(&self) {
        self.armed.notified().await;
    }

    /// Returns when the time is over.
    pub(crate) async fn late(&self) {
        let deadline = *self.deadline.lock();
        match deadline.filter(|_| self.has_a_word()) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it would end the process.
    pub(crate) fn has_a_word(&self) -> bool {
        self.word.is_some()
    }

    /// From here on the ledger of these is told.
    pub(crate) fn watch<T: Accounts + 'static>(&self, accounts: &Arc<T>) {
        let accounts: Weak<T> = Arc::downgrade(accounts);
        *self.accounts.lock() = Some(accounts);
    }

    /// What is taken away at the end.
    pub(crate) fn owns(&self, remnants: impl IntoIterator<Item = Remnant>) {
        self.remnants.lock().extend(remnants);
    }

    /// The time is over: says what hung and what is known of every record, and ends the process with 1.
    pub(crate) fn give_up(&self) {
        let Some(word) = self.word.clone() else { return };
        let mut hung = self.steps.now();
        if hung.is_empty() {
            // All that is left is what the command line says.
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

    /// A second signal: ends the process, drained or not.
    pub(crate) fn end_at_once(&self, number: i32) {
        let word = self.word.clone();
        self.end(128 + number, move || {
            word.iter().for_each(LastWord::give_back);
            tracing::warn!("a second signal: ending at once");
        });
    }

    /// The last words are said by another thread, because they may hang as well.
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
        // Where even `exit` hangs, in a library's last function or for a thread that is ending the process already.
        let _ = std::thread::Builder::new().name("last-resort".into()).spawn(|| {
            std::thread::sleep(WORDS);
            kill_process(getpid(), Signal::KILL)
        });
        std::process::exit(code);
    }
}
