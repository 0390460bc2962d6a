//! The threads that have capabilities, and that no other has any.
//!
//! ```text
//! confine   loader  what the process was given     reader  the same       all others  nothing, from their first instruction on
//! settle            what still loads probes                what looks into processes and folders of others
//! ```
//!
//! Capabilities are the thread's that has them, and a thread begins with those of the thread that started it. So the process is
//! divided before it has a second thread, and work that takes privilege goes to whoever has it. Without [`confine`] every thread does
//! its own work, as in tests.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread::{self, ThreadId};

use crate::capabilities::{self, BASE, Capability, CapabilitySet};

/// The two threads, once there are any.
static DIVIDED: OnceLock<Divided> = OnceLock::new();
static SETTLED: AtomicBool = AtomicBool::new(false);

/// What looks into processes and folders of others.
const LOOKING: [Capability; 2] = [Capability::SysPtrace, Capability::DacReadSearch];

struct Divided {
    /// Loads and attaches. A large object takes it a second.
    loader: Worker,
    /// Reads what is closed to this user: short work that must not wait for the loader.
    reader: Worker,
    lasting: Vec<Capability>,
}

/// A thread that does what it is told, in turn.
struct Worker {
    jobs: mpsc::Sender<Job>,
    thread: ThreadId,
}

type Job = Box<dyn FnOnce() + Send>;

/// Divides the process: to be called once, before there is a second thread. Afterwards only the threads `loader` and `reader` have
/// capabilities, and once it is [settled](settle) no more than `lasting` of those that the process was given.
///
/// # Errors
/// A thread cannot be had, or the kernel refuses.
pub fn confine(lasting: &[Capability]) -> io::Result<()> {
    capabilities::no_new_privileges()?;
    let divided = Divided { loader: Worker::start("loader")?, reader: Worker::start("reader")?, lasting: lasting.to_vec() };
    capabilities::keep(CapabilitySet::default())?;
    DIVIDED.set(divided).map_err(|_| io::Error::other("the process is divided already"))
}

/// The start is over: both threads give up what only it took. Does nothing where nobody called [`confine`].
///
/// # Errors
/// The kernel's refusal.
pub fn settle() -> io::Result<()> {
    let Some(divided) = DIVIDED.get() else { return Ok(()) };
    let (lasting, looking) = (lasting(), lasting_of(&LOOKING));
    divided.loader.run(move || capabilities::keep(lasting))?;
    divided.reader.run(move || capabilities::keep(looking))?;
    SETTLED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Reads what is perhaps closed to this user: a file that the operator named, a process of somebody else. The work should be short.
pub fn read<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match DIVIDED.get() {
        Some(divided) => divided.reader.run(work),
        None => work(),
    }
}

/// Asks something of the kernel that takes [`Capability::Bpf`].
pub(crate) fn load<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match DIVIDED.get() {
        Some(divided) => divided.loader.run(work),
        None => work(),
    }
}

/// Asks it of a map or a program that is there. From Linux 5.19 on every thread that has its descriptor may do that; before, where
/// unprivileged BPF is disabled, only the loader.
pub(crate) fn ask<T: Send + 'static, E: Send + 'static>(
    denied: impl FnOnce(&E) -> bool,
    work: impl Fn() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match work() {
        Err(error) if denied(&error) && DIVIDED.get().is_some() => load(work),
        answer => answer,
    }
}

/// Whether the start is over, and what it took is given up.
pub(crate) fn is_settled() -> bool {
    SETTLED.load(Ordering::Relaxed)
}

/// Called on a thread that the loader has started, for breakpoints in libraries: it keeps what those take, and once it has been at work
/// for a while, or comes late, only what is to last.
pub(crate) fn settle_breakpoints(begins: bool) {
    if DIVIDED.get().is_none() {
        return;
    }
    let sys_admin = capabilities::breakpoints_take_sys_admin().then_some(Capability::SysAdmin);
    let first = BASE.into_iter().chain(LOOKING).chain(sys_admin).collect();
    if let Err(error) = capabilities::keep(if begins && !is_settled() { first } else { lasting() }) {
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

    /// Waits until it is done. A panic comes out here.
    fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if thread::current().id() == self.thread {
            return work();
        }
        let (tell, told) = mpsc::sync_channel(1);
        let job = move || drop(tell.send(catch_unwind(AssertUnwindSafe(work))));
        if let Err(mpsc::SendError(job)) = self.jobs.send(Box::new(job)) {
            // It has ended, with the process: without it the work fails by itself if it takes privilege.
            job();
        }
        let gone = |_| -> Result<T, Box<dyn Any + Send>> { Err(Box::new("a thread with capabilities ended in its work")) };
        told.recv().unwrap_or_else(gone).unwrap_or_else(|panic| resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
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
