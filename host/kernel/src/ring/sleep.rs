//! Waiting for a ring, a waker, or time to pass.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host_model::Waker;

const BELL: u64 = 0;
const RING: u64 = 1;

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    Timeout,
    Ring,
    Bell,
}

/// An epoll instance over the ring (told once per notification) and a bell.
#[derive(Debug)]
pub(super) struct Sleeper {
    /// Ring and bell.
    both: OwnedFd,
    /// The bell alone.
    alone: OwnedFd,
    bell: Arc<Bell>,
}

/// Rings from other threads.
#[derive(Debug)]
struct Bell {
    event: File,
}

// === impl Sleeper ===

impl Sleeper {
    pub(super) fn new(ring: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: integers only; the descriptor is new.
        let event = unsafe { owned(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))? };
        // SAFETY: as above.
        let both = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? };
        // SAFETY: as above.
        let alone = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? };
        add(&both, event.as_raw_fd(), libc::EPOLLIN, BELL)?;
        add(&alone, event.as_raw_fd(), libc::EPOLLIN, BELL)?;
        // Edge-triggered: a ring in which something waits is always readable, so level-triggered would never sleep.
        add(&both, ring.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, RING)?;
        Ok(Self { both, alone, bell: Arc::new(Bell { event: event.into() }) })
    }

    /// Until the ring notifies, the bell rings, or this much time has passed.
    pub(super) fn sleep(&self, most: Duration) -> Woken {
        self.wait(&self.both, most)
    }

    /// The same, deaf to the ring.
    pub(super) fn nap(&self, most: Duration) -> Woken {
        self.wait(&self.alone, most)
    }

    pub(super) fn waker(&self) -> Arc<dyn Waker> {
        self.bell.clone()
    }

    fn wait(&self, epoll: &OwnedFd, most: Duration) -> Woken {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        let count = usize::try_from(epoll_wait(epoll, &mut events, most)).unwrap_or(0);
        let told = events.get(..count).unwrap_or_default();
        if told.iter().any(|event| event.u64 == BELL) {
            self.bell.silence();
            return Woken::Bell;
        }
        if told.is_empty() { Woken::Timeout } else { Woken::Ring }
    }
}

// === impl Bell ===

impl Bell {
    fn silence(&self) {
        // Nothing to read means that another wait has taken it.
        let _ = (&self.event).read(&mut [0; 8]);
    }
}

impl Waker for Bell {
    fn wake(&self) {
        // It fails only if it has been rung 2^64 - 2 times already, and then it rings.
        let _ = (&self.event).write(&1_u64.to_ne_bytes());
    }
}

/// With nanoseconds where the kernel has them (5.11), else rounded up to milliseconds.
fn epoll_wait(epoll: &OwnedFd, events: &mut [libc::epoll_event; 2], most: Duration) -> i32 {
    static ONLY_MILLISECONDS: AtomicBool = AtomicBool::new(false);
    let capacity: i32 = 2;
    if !ONLY_MILLISECONDS.load(Ordering::Relaxed) {
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(most.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(i32::try_from(most.subsec_nanos()).unwrap_or(0)),
        };
        let no_signals = std::ptr::null::<libc::sigset_t>();
        let fd = epoll.as_raw_fd();
        // SAFETY: writes at most `capacity` events, which `events` holds; time lives until the call returns.
        let count = unsafe {
            libc::syscall(libc::SYS_epoll_pwait2, fd, events.as_mut_ptr(), capacity, &raw const time, no_signals, 8_usize)
        };
        if count >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS) {
            return i32::try_from(count).unwrap_or(-1);
        }
        ONLY_MILLISECONDS.store(true, Ordering::Relaxed);
    }
    let milliseconds = i32::try_from(most.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: as above.
    unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), capacity, milliseconds) }
}

fn add(epoll: &OwnedFd, fd: i32, interest: i32, token: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: interest.cast_unsigned(), u64: token };
    // SAFETY: reads one event, which lives here.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// # Safety
/// `fd` is a new descriptor that nobody else owns, or negative.
unsafe fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
