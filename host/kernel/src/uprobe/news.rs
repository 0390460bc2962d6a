//! Notifications of files that processes have just mapped as code, from the kernel as it happens, so that even a short-lived program is
//! traced.
//!
//! One perf event per CPU, a dummy that counts nothing and writes a record for each mapping of code: some ten when a program starts, none
//! while it runs. Nothing else wakes the reader. If perf events are unavailable, processes are found by the scan alone.

use std::fs;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::ring::{Pages, page_size};

/// Size of the perf ring per CPU, in pages: a hundred unread mappings. The next scan finds those that are lost.
const DATA_PAGES: usize = 4;
/// Maximum size of a record: a path of 4096 bytes, and the fields before it.
const LINE_MAX: usize = 4096 + 64;
/// Maximum number of records taken at once.
const LINES_MAX: usize = 4096;
/// `PERF_RECORD_MMAP`.
const MAPPED: u32 = 1;
/// Offsets in `struct perf_event_mmap_page`: the kernel's write position, our read position.
const HEAD: usize = 1024;
const TAIL: usize = 1032;

/// A file that a process has mapped as code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub(crate) pid: u32,
    /// Address range of the mapping, as /proc/PID/map_files names it.
    pub(crate) range: String,
    /// Path of the file, as the process sees it.
    pub(crate) path: Vec<u8>,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The time is over.
    Quiet,
    /// A file was mapped.
    Told,
    /// The bell was rung.
    Stopped,
}

/// Wakes the waiting reader once and for all: it is to stop.
#[derive(Debug, Clone)]
pub(crate) struct Bell(Arc<OwnedFd>);

/// The perf events of all CPUs, and the bell.
#[derive(Debug)]
pub(crate) struct News {
    lines: Vec<Lines>,
    bell: Bell,
}

/// The perf event of one CPU.
#[derive(Debug)]
struct Lines {
    event: OwnedFd,
    pages: Pages,
}

// === impl Bell ===

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)))
    }

    pub(crate) fn ring(&self) {
        // It fails only if it has been rung 2^64 - 2 times already, and then it is readable anyway.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

// === impl News ===

impl News {
    /// Opens the perf events. Needs CAP_PERFMON, or CAP_SYS_ADMIN before Linux 5.8.
    pub(crate) fn open(bell: Bell) -> io::Result<Self> {
        let cpus = fs::read_to_string("/sys/devices/system/cpu/online")?;
        // A CPU may have been taken offline meanwhile.
        let is_there = |lines: &io::Result<Lines>| lines.as_ref().err().and_then(io::Error::raw_os_error) != Some(libc::ENODEV);
        let lines = cpus_of(&cpus).map(Lines::open).filter(is_there).collect::<io::Result<_>>()?;
        Ok(Self { lines, bell })
    }

    /// Returns a value without perf events, which only the bell wakes.
    pub(crate) const fn none(bell: Bell) -> Self {
        Self { lines: Vec::new(), bell }
    }

    /// Waits until a file is mapped, at most `most`.
    pub(crate) fn wait(&self, most: Duration) -> Woken {
        wait(&self.bell, self.lines.iter().map(|lines| &lines.event), most)
    }

    /// Waits for `most`, or until the bell rings.
    pub(crate) fn pause(&self, most: Duration) -> Woken {
        wait(&self.bell, std::iter::empty(), most)
    }

    /// Takes all mappings since the last call.
    pub(crate) fn take(&self) -> Vec<Mapped> {
        let mut taken = Vec::new();
        self.lines.iter().for_each(|lines| lines.take(&mut taken));
        taken
    }
}

fn wait<'a>(bell: &'a Bell, events: impl Iterator<Item = &'a OwnedFd>, most: Duration) -> Woken {
    let fds = std::iter::once(&*bell.0).chain(events);
    let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let until = Instant::now() + most;
    loop {
        // None waits without a timeout.
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).ok();
        let ready = poll(&mut fds, left.as_ref());
        return match ready {
            _ if fds.first().is_some_and(|bell| !bell.revents().is_empty()) => Woken::Stopped,
            Err(Errno::INTR) => continue,
            Ok(1..) => Woken::Told,
            _ => Woken::Quiet,
        };
    }
}

// === impl Lines ===

impl Lines {
    fn open(cpu: i32) -> io::Result<Self> {
        const PERF_TYPE_SOFTWARE: u64 = 1;
        const PERF_COUNT_SW_DUMMY: u64 = 9;
        /// PERF_ATTR_SIZE_VER0, the smallest size, which every kernel accepts.
        const ATTR_SIZE: u32 = 64;
        const EXCLUDE_KERNEL: u64 = 1 << 5;
        const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
        const MMAP: u64 = 1 << 8;
        const WATERMARK: u64 = 1 << 14;
        const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
        // Two u32, type and size, lie in the first word; both architectures are little-endian.
        let head = PERF_TYPE_SOFTWARE | u64::from(ATTR_SIZE) << 32;
        // Wakes the reader with the first byte.
        let (flags, wakeup) = (EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR | MMAP | WATERMARK, 1);
        let attr: [u64; ATTR_SIZE as usize / 8] = [head, PERF_COUNT_SW_DUMMY, 0, 0, 0, flags, wakeup, 0];
        let (every_process, no_group) = (-1, -1);
        // SAFETY: reads `size` bytes of attr, which lives until the call returns.
        let event = unsafe {
            libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), every_process, cpu, no_group, PERF_FLAG_FD_CLOEXEC)
        };
        let event = owned(event)?;
        let pages = Pages::map(event.as_fd(), 0, (1 + DATA_PAGES) * page_size(), true)?;
        Ok(Self { event, pages })
    }

    fn take(&self, taken: &mut Vec<Mapped>) {
        let head = self.pages.word(HEAD).load(Ordering::Acquire);
        let mut tail = self.pages.word(TAIL).load(Ordering::Relaxed);
        // The lengths are written by the kernel; after an invalid one the rest is meaningless, so it is skipped.
        while tail < head && taken.len() < LINES_MAX {
            let header = self.word(tail);
            let size = header >> 48;
            if size < 8 || !size.is_multiple_of(8) || size > head - tail {
                break;
            }
            if header as u32 == MAPPED && size as usize <= LINE_MAX {
                let words: Vec<u64> = (1..size / 8).map(|index| self.word(tail + index * 8)).collect();
                taken.extend(mapped(&words));
            }
            tail += size;
        }
        self.pages.word(TAIL).store(head, Ordering::Release);
    }

    /// Returns the 8 bytes at a position, which only grows.
    fn word(&self, position: u64) -> u64 {
        let size = DATA_PAGES * page_size();
        self.pages.word(page_size() + (position as usize & (size - 1))).load(Ordering::Relaxed)
    }
}

/// Parses a record without its header: pid and tid, address, length, offset in the file, path.
fn mapped(words: &[u64]) -> Option<Mapped> {
    let [ids, start, length, _, path @ ..] = words else { return None };
    let pid = *ids as u32;
    let mut path: Vec<u8> = path.iter().flat_map(|word| word.to_le_bytes()).collect();
    path.truncate(path.iter().position(|byte| *byte == 0)?);
    let range = format!("{start:x}-{:x}", start.checked_add(*length)?);
    // Other mappings have no file: `//anon`, `[vdso]`. A process that we cannot see has no pid here.
    let has_file = path.starts_with(b"/") && !path.starts_with(b"//");
    (has_file && pid != 0 && pid != u32::MAX).then_some(Mapped { pid, range, path })
}

/// Parses the CPU numbers in `0-3,6`.
fn cpus_of(text: &str) -> impl Iterator<Item = i32> {
    text.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
        .flatten()
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: a descriptor that the kernel has just made for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_process_a_range_and_a_path() {
        let words = |path: &[u8]| {
            let path =
                path.chunks(8).map(|part| u64::from_le_bytes(std::array::from_fn(|at| part.get(at).copied().unwrap_or(0))));
            [7 | 8 << 32, 0x7f00_0000_1000, 0x2000, 0].into_iter().chain(path).collect::<Vec<u64>>()
        };
        let found = mapped(&words(b"/a/libssl.so.3\0\0")).unwrap();
        assert_eq!(found, Mapped { pid: 7, range: "7f0000001000-7f0000003000".into(), path: b"/a/libssl.so.3".to_vec() });
        for nothing in [b"//anon\0\0".as_slice(), b"[vdso]\0\0", b"/no/end!", b""] {
            assert_eq!(mapped(&words(nothing)), None);
        }
        assert_eq!(mapped(&[7, 1]), None);
        assert_eq!(mapped(&[7, u64::MAX, 2, 0, 0x61_2f]), None, "an end behind the end of memory");
    }

    #[test]
    fn processors_are_listed_as_the_kernel_does() {
        assert_eq!(cpus_of("0-2,5\n").collect::<Vec<_>>(), [0, 1, 2, 5]);
        assert_eq!(cpus_of("0\n").collect::<Vec<_>>(), [0]);
        assert_eq!(cpus_of("").count() + cpus_of("x-1,").count(), 0);
    }

    #[test]
    fn what_a_program_maps_is_told_while_it_lives_needs_root() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("SKIPPED what_a_program_maps_is_told_while_it_lives_needs_root: needs root");
        }
        let news = News::open(Bell::new().unwrap()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let mut told = Vec::new();
        let is_libc = |mapped: &&Mapped| mapped.pid == child.id() && mapped.path.windows(4).any(|part| part == b"libc");
        while told.iter().find(is_libc).is_none() {
            assert!(Instant::now() < until, "{told:?}");
            if news.wait(Duration::from_secs(1)) == Woken::Told {
                told.extend(news.take());
            }
        }
        let range = told.iter().find(is_libc).map(|mapped| mapped.range.clone()).unwrap();
        assert!(fs::symlink_metadata(format!("/proc/{}/map_files/{range}", child.id())).is_ok(), "{told:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_bell_ends_a_wait_and_goes_on_ringing() {
        let bell = Bell::new().unwrap();
        let news = News::none(bell.clone());
        assert_eq!(news.wait(Duration::from_millis(1)), Woken::Quiet);
        bell.ring();
        assert_eq!(news.wait(Duration::from_secs(60)), Woken::Stopped);
        assert_eq!(news.pause(Duration::from_secs(60)), Woken::Stopped);
    }
}
