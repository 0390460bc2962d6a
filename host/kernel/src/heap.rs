//! Settings of the C library's heap and of memory pages. glibc gives each thread an arena of its own and returns to the kernel only what is
//! free at its top, so that garbage of a compiler or a request stays resident: some MiB for every thread that ever allocated.

/// Minimum size of an allocation that becomes a mapping of its own, which is unmapped when freed. glibc raises its own threshold to the
/// largest such allocation ever freed, up to 32 MiB: a burst of large ones then lies in the heap, with small ones between them that stay.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES: libc::c_int = 256 << 10;
/// Maximum number of free bytes at the top of the heap that are retained.
#[cfg(target_env = "gnu")]
const TOP_BYTES: libc::c_int = 4 << 20;

/// Uses one heap for all threads, and mappings for large allocations. Must be called before any thread is started. Threads keep small
/// allocations in caches of their own, so that they seldom wait for each other.
pub fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets numbers that are read when memory is allocated or freed.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TOP_BYTES);
    }
}

/// Disables huge pages for this process, even if the system enables them for all (`transparent_hugepage` is `always`). Must be called
/// before anything is allocated. The many small heaps, stacks and memories of plugins would each become 2 MiB: with eleven paths 146 MiB
/// instead of 36, measured on the edge build. It needs no privilege; if the kernel refuses, nothing changes.
pub fn small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Returns free memory to the kernel, wherever it is in the heap. Takes milliseconds, in which allocations may block: call it after large
/// work, not after each piece of work.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the heap's own lock, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Returns the number of bytes in use in the C library's heaps, including mappings of large allocations; 0 where it does not report it.
/// Takes microseconds to a millisecond, in which allocations may block.
#[must_use]
pub fn bytes_in_use() -> u64 {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it takes the heaps' own locks, reads their lists and returns numbers.
        let heaps = unsafe { libc::mallinfo2() };
        (heaps.uordblks + heaps.hblkhd) as u64
    }
    #[cfg(not(target_env = "gnu"))]
    0
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::bytes_in_use;

    #[test]
    fn bytes_are_in_use_until_they_are_freed() {
        /// More than all other tests of this crate have at a time.
        const BYTES: usize = 64 << 20;
        const MOST: u64 = BYTES as u64 / 2;
        for piece in [64 << 10, BYTES] {
            let before = bytes_in_use();
            let pieces: Vec<_> = (0..BYTES / piece).map(|_| vec![0_u8; piece]).collect();
            let held = bytes_in_use();
            drop(pieces);
            let after = bytes_in_use();
            assert!(held > before + MOST && after + MOST < held, "{piece}: {before} -> {held} -> {after}");
        }
    }
}
