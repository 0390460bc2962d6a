//! Checks whether this process may make memory executable: hardened systems forbid it (`MemoryDenyWriteExecute=` of systemd, SELinux
//! without `execmem`, PaX).

use std::io;
use std::ptr;

/// Tries it with one page, mapped writable and then made executable, as loaded code is.
///
/// # Errors
/// The system's refusal.
pub fn allowed() -> io::Result<()> {
    // A multiple of every page size.
    const BYTES: usize = 64 << 10;
    // SAFETY: a new private mapping at an address of the kernel's choice touches nothing that is there. The pointer is checked
    // before it is used, nothing but these three calls knows it, and nothing in it is run.
    unsafe {
        let page = libc::mmap(
            ptr::null_mut(),
            BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let changed = libc::mprotect(page, BYTES, libc::PROT_READ | libc::PROT_EXEC);
        let answer = if changed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        libc::munmap(page, BYTES);
        answer
    }
}
