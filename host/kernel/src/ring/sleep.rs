//! Waits for a ring, a waker, or a timeout.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host_model::Waker;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

const BELL: u64 = 0;
const RING: u64 = 1;
/// Maximum timeout that every kernel accepts.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    Timeout,
    Ring,
    Bell,
}

/// An epoll instance over the ring (one event per notification) and an eventfd, the bell.
#[derive(Debug)]
pub(super) struct Sleeper {
    /// Epoll descriptor of the ring and the bell.
    both: OwnedFd,
    /// Epoll descriptor of the bell only.
    alone: OwnedFd,
    bell: Arc<Bell>,
}

/// Wakes the sleeper from other threads.
#[derive(Debug)]
struct Bell {
    event: File,
}

// === impl Sleeper ===

impl Sleeper {
    pub(super) fn new(ring: BorrowedFd<'_>) -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let [both, alone] = [epoll::create(CreateFlags::CLOEXEC)?, epoll::create(CreateFlags::CLOEXEC)?];
        epoll::add(&both, &event, EventData::new_u64(BELL), EventFlags::IN)?;
        epoll::add(&alone, &event, EventData::new_u64(BELL), EventFlags::IN)?;
        // Edge-triggered: a ring with waiting records is always readable, so level-triggered would never sleep.
        epoll::add(&both, ring, EventData::new_u64(RING), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { both, alone, bell: Arc::new(Bell { event: event.into() }) })
    }

    /// Waits until the ring notifies, the bell rings, or `most` has passed.
    pub(super) fn sleep(&self, most: Duration) -> Woken {
        self.wait(&self.both, most)
    }

    /// Same as [`Self::sleep`], without the ring.
    pub(super) fn nap(&self, most: Duration) -> Woken {
        self.wait(&self.alone, most)
    }

    pub(super) fn waker(&self) -> Arc<dyn Waker> {
        self.bell.clone()
    }

    fn wait(&self, epoll: &OwnedFd, most: Duration) -> Woken {
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(RING) }; 2];
        let count = epoll_wait(epoll, &mut events, most);
        let told = events.get(..count).unwrap_or_default();
        if told.iter().any(|event| event.data.u64() == BELL) {
            self.bell.silence();
            return Woken::Bell;
        }
        if told.is_empty() { Woken::Timeout } else { Woken::Ring }
    }
}

// === impl Bell ===

impl Bell {
    fn silence(&self) {
        // Nothing to read means that another wait has consumed it.
        let _ = (&self.event).read(&mut [0; 8]);
    }
}

impl Waker for Bell {
    fn wake(&self) {
        // It fails only if it has been rung 2^64 - 2 times already, and then it is readable anyway.
        let _ = (&self.event).write(&1_u64.to_ne_bytes());
    }
}

/// Returns the number of events. Waits with nanosecond precision if the kernel supports it (5.11), else rounded up to milliseconds; rustix
/// chooses between them only at compile time.
fn epoll_wait(epoll: &OwnedFd, events: &mut [Event; 2], most: Duration) -> usize {
    static ONLY_MILLISECONDS: AtomicBool = AtomicBool::new(false);
    let time = Timespec::try_from(most.min(LONGEST)).unwrap_or_default();
    if !ONLY_MILLISECONDS.load(Ordering::Relaxed) {
        let (fd, capacity) = (epoll.as_raw_fd(), 2_i32);
        let no_signals = ptr::null::<libc::sigset_t>();
        // SAFETY: writes at most `capacity` events, which `events` holds; time lives until the call returns.
        let count = unsafe {
            libc::syscall(libc::SYS_epoll_pwait2, fd, events.as_mut_ptr(), capacity, &raw const time, no_signals, 8_usize)
        };
        if count >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS) {
            return usize::try_from(count).unwrap_or(0);
        }
        ONLY_MILLISECONDS.store(true, Ordering::Relaxed);
    }
    epoll::wait(epoll, events, Some(&time)).unwrap_or(0)
}
