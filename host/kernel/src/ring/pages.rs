//! Pages shared with the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

pub(crate) use rustix::param::page_size;

/// A mapping, at least one page. Unmapped on drop.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value, whichever thread holds it; it is read and written through atomics, or where the
// kernel no longer writes.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

// === impl Pages ===

impl Pages {
    /// Maps `length` bytes (rounded up to pages) of a BPF map from `offset`.
    pub(crate) fn map(fd: BorrowedFd<'_>, offset: usize, length: usize, writable: bool) -> io::Result<Self> {
        let length = length.next_multiple_of(page_size());
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice; the descriptor is open.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(start.cast()) {
            Some(start) if length > 0 => Ok(Self { start, length }),
            _ => Err(io::Error::other("an empty mapping")),
        }
    }

    /// Returns the 8 bytes at `offset`, a multiple of 8. Past the end, returns the first 8: a wrong number, but no invalid pointer.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= self.length, "offset {offset} of {}", self.length);
        let offset = if offset.is_multiple_of(8) && offset + 8 <= self.length { offset } else { 0 };
        // SAFETY: within the mapping and aligned, both checked; the kernel's side accesses it atomically as well.
        unsafe { &*self.start.as_ptr().add(offset).cast::<AtomicU64>() }
    }

    /// Returns the mapping without its first `offset` bytes.
    pub(crate) fn after(&self, offset: usize) -> NonNull<[u8]> {
        let offset = offset.min(self.length);
        // SAFETY: within the mapping.
        NonNull::slice_from_raw_parts(unsafe { self.start.add(offset) }, self.length - offset)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and every borrow of it ends with self.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
