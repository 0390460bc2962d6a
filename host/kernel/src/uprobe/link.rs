//! Attaches a program at many offsets of one file: by one link or, if the kernel is too old for that, by one link each.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::single;
use super::target::Site;

/// Attaches a program; closing what is returned detaches it, which waits until no CPU runs it.
///
/// The file is passed as our descriptor of it, so that the file that was examined is the file that is traced, even if its path leads
/// elsewhere by now or belongs to another mount namespace.
pub(crate) fn attach(program: BorrowedFd<'_>, file: &File, sites: &[Site], returns: bool) -> io::Result<Vec<OwnedFd>> {
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    match attach_all(program, &path, sites, returns) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP)) => {
            // If that fails as well, the error of the better way is returned, unless permission is missing.
            single::attach(program, &path, sites, returns).map_err(|reason| if is_denied(&reason) { reason } else { error })
        }
        attached => attached.map(|link| vec![link]),
    }
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn attach_all(program: BorrowedFd<'_>, path: &CStr, sites: &[Site], returns: bool) -> io::Result<OwnedFd> {
    let offsets: Vec<u64> = sites.iter().map(|site| site.offset).collect();
    let cookies: Vec<u64> = sites.iter().map(|site| site.role as u64).collect();
    let sz = size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t;
    let mut options = libbpf_sys::bpf_link_create_opts { sz, ..Default::default() };
    options.__bindgen_anon_1.uprobe_multi = libbpf_sys::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_3 {
        path: path.as_ptr(),
        offsets: offsets.as_ptr(),
        cookies: cookies.as_ptr(),
        cnt: u32::try_from(sites.len()).map_err(io::Error::other)?,
        flags: if returns { libbpf_sys::BPF_F_UPROBE_MULTI_RETURN } else { 0 },
        ..Default::default()
    };
    // SAFETY: the arrays have `cnt` elements and, as the path, live until the call returns.
    let link =
        unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), 0, libbpf_sys::BPF_TRACE_UPROBE_MULTI, &raw const options) };
    if link < 0 {
        return Err(io::Error::from_raw_os_error(-link));
    }
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(link) })
}
