//! The two threads that have capabilities; all other threads have none.
//!
//! ```text
//! confine   loader  what the process was given     reader  the same       all others  nothing, from their first instruction on
//! settle            what still loads probes                what looks into processes and folders of others
//! ```
//!
//! A thread inherits the capabilities of the thread that starts it. So the process is divided before it has a second thread, and work that
//! needs privilege is sent to a thread that has it. Without [`confine`], as in tests, every thread has the capabilities of the process.
//!
//! A read may hang: at a pipe, a mount that does not answer, a process that the kernel holds. So `reader` itself reads nothing. It starts
//! threads of its name that do, and callers wait for them with a deadline; a thread that hangs is left behind.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use host_model::Lock;

use crate::capabilities::{self, BASE, Capability, CapabilitySet};

/// The two threads; empty before [`confine`].
static DIVIDED: OnceLock<Divided> = OnceLock::new();
/// The thread that looks into processes; replaced once it hangs.
static LOOKING_NOW: Lock<Option<Arc<Worker>>> = Lock::new(None);
/// Number of threads that were left behind and have not returned.
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// Maximum number of threads that hang at the same time. Sixteen: a stack each; where more hang, the next would hang as well.
const MOST_LEFT_BEHIND: usize = 16;

/// Capabilities to look into other users' processes and directories.
const LOOKING: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];

/// Maximum time that a path waits for the loader. One second: the loader may be busy loading a probe.
const ASKING: Duration = Duration::from_secs(1);

struct Divided {
    /// Loads and attaches. A large object takes about a second.
    loader: Worker,
    /// Starts threads that read what is closed to this user, and does nothing else, so that requests to it never queue behind a read.
    reader: Worker,
    lasting: Vec<Capability>,
}

/// A thread that runs jobs in order.
struct Worker {
    jobs: mpsc::Sender<Job>,
    thread: ThreadId,
}

type Job = Box<dyn FnOnce() + Send>;

/// The state of a job that a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The job waits for earlier ones.
    Waited,
    Begun,
    Done,
    /// The job had begun when the caller's deadline passed.
    LeftBehind,
    /// The job had not begun when the caller's deadline passed.
    GivenUp,
}

/// Work that was not done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// The work goes on, but the caller no longer waits for it.
    #[error("the system did not answer within {} ms", .0.as_millis())]
    Hangs(Duration),
    /// The work was not begun: too many reads hang.
    #[error("{MOST_LEFT_BEHIND} reads hang already")]
    Crowded,
    /// The thread for the work cannot be started.
    #[error("no thread can be started")]
    NoThread,
}

/// Divides the process: must be called once, before there is a second thread. Afterwards only the threads `loader` and `reader` have
/// capabilities, and once it is [settled](settle) at most those of `lasting` that the process was given.
///
/// # Errors
/// A thread cannot be started, or the kernel refuses.
pub fn confine(lasting: &[Capability]) -> io::Result<()> {
    capabilities::no_new_privileges()?;
    let divided = Divided { loader: Worker::start("loader")?, reader: Worker::start("reader")?, lasting: lasting.to_vec() };
    capabilities::keep(CapabilitySet::default())?;
    DIVIDED.set(divided).map_err(|_| io::Error::other("the process is divided already"))
}

/// Ends the start: both threads give up the capabilities that only the start needed. Does nothing without [`confine`].
///
/// # Errors
/// The kernel's refusal.
pub fn settle() -> io::Result<()> {
    let Some(divided) = DIVIDED.get() else { return Ok(()) };
    let (lasting, looking) = (lasting(), lasting_of(&LOOKING));
    divided.loader.run(move || capabilities::keep(lasting))?;
    divided.reader.run(move || capabilities::keep(looking))?;
    // It was started with more capabilities than `lasting`; the next one is not.
    drop(looking_now().take());
    capabilities::set_settled();
    Ok(())
}

/// Runs a read that may need privilege, such as of a file that the operator named, on a thread of its own.
///
/// # Errors
/// The read takes longer than `within` and is left behind, or the maximum number of reads hangs already.
pub fn read<T: Send + 'static>(within: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Late> {
    start()?.run_within(within, work)
}

/// Looks into other users' processes: short work, done in order by one thread for all callers. If it hangs, it is left behind and replaced.
///
/// # Errors
/// Those of [`read`].
pub fn look<T: Send + 'static>(within: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Late> {
    let worker = {
        let mut now = looking_now();
        match &*now {
            Some(worker) => Arc::clone(worker),
            None => Arc::clone(now.insert(Arc::new(start()?))),
        }
    };
    let done = worker.run_within(within, work);
    if done.is_err() {
        let mut now = looking_now();
        if now.as_ref().is_some_and(|now| Arc::ptr_eq(now, &worker)) {
            *now = None;
        }
    }
    done
}

fn looking_now() -> MutexGuard<'static, Option<Arc<Worker>>> {
    LOOKING_NOW.lock()
}

/// Starts a thread with the capabilities of `reader`.
fn start() -> Result<Worker, Late> {
    if LEFT_BEHIND.load(Ordering::Relaxed) >= MOST_LEFT_BEHIND {
        return Err(Late::Crowded);
    }
    let started = match DIVIDED.get() {
        Some(divided) => divided.reader.run(|| Worker::start("reader")),
        None => Worker::start("reader"),
    };
    started.map_err(|_| Late::NoThread)
}

/// Runs a request to the kernel that needs [`Capability::Bpf`].
pub(crate) fn load<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match DIVIDED.get() {
        Some(divided) => divided.loader.run(work),
        None => work(),
    }
}

/// Runs a request to the kernel about an existing map or program. From Linux 5.19 on every thread that has its descriptor may make it;
/// before, where unprivileged BPF is disabled, only the loader: if that stays busy too long, the request stays denied.
pub(crate) fn ask<T: Send + 'static, E: Send + 'static>(
    denied: impl FnOnce(&E) -> bool,
    work: impl Fn() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match (work(), DIVIDED.get()) {
        (Err(error), Some(divided)) if denied(&error) => divided.loader.run_within(ASKING, work).unwrap_or(Err(error)),
        (answer, _) => answer,
    }
}

/// Reduces the capabilities of the calling thread, which the loader started to trace libraries: at first to those that uprobes need, and
/// later, or if it is started after [`settle`], to the lasting ones.
pub(crate) fn settle_breakpoints(begins: bool) {
    if DIVIDED.get().is_none() {
        return;
    }
    let sys_admin = capabilities::breakpoints_take_sys_admin().then_some(Capability::SysAdmin);
    let first = BASE.into_iter().chain(LOOKING).chain(sys_admin).collect();
    if let Err(error) = capabilities::keep(if begins && !capabilities::is_settled() { first } else { lasting() }) {
        tracing::warn!(%error, "the thread `uprobes` keeps capabilities that it does not need");
    }
}

fn lasting() -> CapabilitySet {
    DIVIDED.get().into_iter().flat_map(|divided| divided.lasting.iter().copied()).collect()
}

fn lasting_of(some: &[Capability]) -> CapabilitySet {
    let lasting = DIVIDED.get().into_iter().flat_map(|divided| divided.lasting.iter().copied());
    lasting.filter(|capability| some.contains(capability)).collect()
}

// === impl Worker ===

impl Worker {
    fn start(name: &str) -> io::Result<Self> {
        let (jobs, given) = mpsc::channel::<Job>();
        let thread = thread::Builder::new().name(name.into()).spawn(move || given.into_iter().for_each(|job| job()))?;
        Ok(Self { jobs, thread: thread.thread().id() })
    }

    /// Runs a job and waits until it is done. A panic of the job is resumed here.
    fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if thread::current().id() == self.thread {
            return work();
        }
        let (tell, told) = mpsc::sync_channel(1);
        let job = move || drop(tell.send(catch_unwind(AssertUnwindSafe(work))));
        if let Err(mpsc::SendError(job)) = self.jobs.send(Box::new(job)) {
            // The thread has ended, with the process. Run here, the job fails by itself if it needs privilege.
            job();
        }
        let gone = |_| -> Result<T, Box<dyn Any + Send>> { Err(Box::new("a thread with capabilities ended in its work")) };
        told.recv().unwrap_or_else(gone).unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs a job and waits at most `within` until it is done. A panic of the job is resumed here.
    fn run_within<T: Send + 'static>(&self, within: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Late> {
        let (tell, told) = mpsc::sync_channel(1);
        let turn = Arc::new(Lock::new(Turn::Waited));
        let mine = Arc::clone(&turn);
        let job = move || {
            let begins = std::mem::replace(&mut *turn_of(&mine), Turn::Begun);
            // Its caller no longer waits, and it may hang as the job before it did.
            if begins == Turn::GivenUp {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(work));
            if std::mem::replace(&mut *turn_of(&mine), Turn::Done) == Turn::LeftBehind {
                LEFT_BEHIND.fetch_sub(1, Ordering::Relaxed);
            }
            drop(tell.send(done));
        };
        self.jobs.send(Box::new(job)).map_err(|_| Late::NoThread)?;
        match told.recv_timeout(within) {
            Ok(done) => Ok(done.unwrap_or_else(|panic| resume_unwind(panic))),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Late::NoThread),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let mut turn = turn_of(&turn);
                *turn = match *turn {
                    Turn::Begun => {
                        LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
                        Turn::LeftBehind
                    }
                    Turn::Waited => Turn::GivenUp,
                    other => other,
                };
                Err(Late::Hangs(within))
            }
        }
    }
}

fn turn_of(turn: &Lock<Turn>) -> MutexGuard<'_, Turn> {
    turn.lock()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn work_is_done_by_the_worker_and_its_panic_is_whose_work_it_was() {
        let worker = Worker::start("tested").unwrap();
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(worker.run(name).as_deref(), Some("tested"));
        let panic = catch_unwind(AssertUnwindSafe(|| worker.run(|| -> u32 { resume_unwind(Box::new("mine")) })));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"mine"));
        assert_eq!(worker.run(|| 7), 7, "it goes on");
    }

    /// Returns a read that hangs until the sender is dropped.
    fn hang() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (release, released) = mpsc::channel::<()>();
        (release, move || {
            let _ = released.recv();
        })
    }

    #[test]
    fn a_read_that_hangs_keeps_nobody_and_nothing_else_from_reading() {
        let short = Duration::from_millis(20);
        let long = Duration::from_secs(20);
        let (release, hanging) = hang();
        assert_eq!(read(short, hanging), Err(Late::Hangs(short)));
        assert_eq!(read(long, || 7), Ok(7), "a file is read though another hangs");
        let (release_look, hanging) = hang();
        assert_eq!(look(short, hanging), Err(Late::Hangs(short)));
        assert_eq!(look(long, || 8), Ok(8), "another thread looks");
        drop((release, release_look));
    }

    #[test]
    fn work_whose_time_was_over_before_its_turn_came_is_not_done() {
        let worker = Worker::start("tested").unwrap();
        let (release, hanging) = hang();
        let short = Duration::from_millis(20);
        assert_eq!(worker.run_within(short, hanging), Err(Late::Hangs(short)));
        let done = Arc::new(AtomicBool::new(false));
        let does = Arc::clone(&done);
        assert_eq!(worker.run_within(short, move || does.store(true, Ordering::SeqCst)), Err(Late::Hangs(short)));
        drop(release);
        assert_eq!(worker.run_within(Duration::from_secs(20), || 9), Ok(9));
        assert!(!done.load(Ordering::SeqCst));
    }

    #[test]
    fn what_is_refused_for_lack_of_privilege_is_not_asked_again_where_nothing_is_divided() {
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = std::sync::Arc::clone(&asked);
        let answer: Result<(), i32> = ask(
            |error| *error == libc::EPERM,
            move || {
                counted.fetch_add(1, Ordering::Relaxed);
                Err(libc::EPERM)
            },
        );
        assert_eq!((answer, asked.load(Ordering::Relaxed)), (Err(libc::EPERM), 1));
    }
}
