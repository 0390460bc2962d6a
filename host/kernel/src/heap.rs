//! Memory of this process, and the C library's heaps. glibc gives each thread one of its own and returns to the kernel only what is free at its top, so that what a
//! compiler or a request left behind stays resident, some MiB for every thread that ever had any to do.

/// Bytes from which a piece is a mapping of its own, which is gone when it is freed. glibc raises its own limit to the largest piece that
/// was ever freed, up to 32 MiB: a burst of large pieces then lies in the heap, with small ones between them that stay.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES: libc::c_int = 256 << 10;
/// Free bytes at the top of the heap that are not given back at once.
#[cfg(target_env = "gnu")]
const TOP_BYTES: libc::c_int = 4 << 20;

/// One heap for all threads, and large pieces outside of it. To be called before there are any threads. They keep small pieces in caches of
/// their own, so that they seldom wait for each other.
pub fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets numbers that are read when memory is allocated or freed.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TOP_BYTES);
    }
}

/// No huge pages for this process, also where the system has them for everybody (`transparent_hugepage` is `always`). To be called
/// before anything is allocated. The many small heaps, stacks and memories of plugins would each become 2 MiB: with eleven paths 146 MiB
/// instead of 36, measured on the edge build. It takes no privilege; a kernel that refuses leaves all as it was.
pub fn small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Gives what is free back to the kernel, wherever it is in the heap. Takes milliseconds, in which who allocates may wait: for moments
/// after something large, not for every one.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the heap's own lock, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes that are in use in the C library's heaps, mappings for large pieces included; 0 where it does not tell. Takes microseconds to a
/// millisecond, in which who allocates may wait.
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
