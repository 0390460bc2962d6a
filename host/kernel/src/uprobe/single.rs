//! Attaches uprobes one by one, for kernels before 6.6, which cannot link a program to many offsets. It needs CAP_SYS_ADMIN, and detaching
//! each takes a tenth of a second.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::target::Site;

/// Attaches a program at each of the sites in the file that `path` leads to.
pub(crate) fn attach(program: BorrowedFd<'_>, path: &CStr, sites: &[Site], returns: bool) -> io::Result<Vec<OwnedFd>> {
    let kind = said("type")?.trim().parse().map_err(io::Error::other)?;
    // `config:0`
    let bit: u32 = said("format/retprobe")?.trim().trim_start_matches("config:").parse().map_err(io::Error::other)?;
    let config = if returns { 1_u64.checked_shl(bit).unwrap_or_default() } else { 0 };
    sites.iter().map(|site| link(program, &event(kind, config, path, site.offset)?, site.role as u64)).collect()
}

/// Reads what sysfs states about the uprobe event type.
fn said(what: &str) -> io::Result<String> {
    fs::read_to_string(format!("/sys/bus/event_source/devices/uprobe/{what}"))
}

fn event(kind: u32, config: u64, path: &CStr, offset: u64) -> io::Result<OwnedFd> {
    /// PERF_ATTR_SIZE_VER1, the smallest size that has the offset.
    const ATTR_SIZE: u32 = 72;
    const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
    // Two u32, type and size, lie in the first word; both architectures are little-endian.
    let head = u64::from(kind) | u64::from(ATTR_SIZE) << 32;
    let attr: [u64; ATTR_SIZE as usize / 8] = [head, config, 0, 0, 0, 0, 0, path.as_ptr() as u64, offset];
    let (every_process, any_cpu, no_group) = (-1, 0, -1);
    // SAFETY: reads `size` bytes of attr and the path that it points to, which live until the call returns.
    let event = unsafe {
        libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), every_process, any_cpu, no_group, PERF_FLAG_FD_CLOEXEC)
    };
    owned(event)
}

/// Links a program to an event; the link keeps the event open.
fn link(program: BorrowedFd<'_>, event: &OwnedFd, cookie: u64) -> io::Result<OwnedFd> {
    let sz = size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t;
    let mut options = libbpf_sys::bpf_link_create_opts { sz, ..Default::default() };
    options.__bindgen_anon_1.perf_event = libbpf_sys::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_1 { bpf_cookie: cookie };
    // SAFETY: the options live until the call returns.
    let link = unsafe {
        libbpf_sys::bpf_link_create(program.as_raw_fd(), event.as_raw_fd(), libbpf_sys::BPF_PERF_EVENT, &raw const options)
    };
    if link < 0 { Err(io::Error::from_raw_os_error(-link)) } else { owned(link.into()) }
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: a descriptor that the kernel has just made for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
