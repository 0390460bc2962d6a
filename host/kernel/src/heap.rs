//! Memory of this process, and the C library's heaps. glibc gives each thread one of its own and returns to the kernel only what is free at its top, so that what a
//! compiler or a request left behind stays resident, some MiB for every thread that ever had any to do.

/// One heap for all threads. To be called before there are any. Threads keep small pieces in caches of their own, so that they
/// seldom wait for each other.
pub fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number that is read when a thread allocates for the first time.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// No huge pages for this process, also where the system has them for everybody (`transparent_hugepage` is `always`). To be called
/// before anything is allocated. The many small heaps, stacks and memories of plugins would each become 2 MiB: with eleven paths 146 MiB
/// instead of 36, measured on the edge build. It takes no privilege; a kernel that refuses leaves all as it was.
pub fn small_pages() {
    let (one, zero): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: prctl with integers only.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, one, zero, zero, zero) };
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
