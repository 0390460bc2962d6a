//! Opens tracepoints by name (`tp/syscalls/sys_enter_openat`): their ids are in tracefs, which may not be mounted.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// An obstacle to reading tracefs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Tracefs is not mounted.
    NotMounted,
    /// Tracefs is closed to this user.
    Closed,
}

const MOUNTED_AT: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Opens a perf event for a tracepoint; a BPF program can then be attached to it.
pub(crate) fn open(category: &str, name: &str) -> io::Result<OwnedFd> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
    /// PERF_ATTR_SIZE_VER0, the smallest size, which every kernel accepts.
    const ATTR_SIZE: u32 = 64;
    let id = id(category, name)?;
    let mut attr = [0_u64; ATTR_SIZE as usize / 8];
    let [head, config, ..] = &mut attr;
    // The first word holds two u32: type, size.
    let mut bytes = [0; 8];
    let (kind, size) = bytes.split_at_mut(4);
    kind.copy_from_slice(&PERF_TYPE_TRACEPOINT.to_ne_bytes());
    size.copy_from_slice(&ATTR_SIZE.to_ne_bytes());
    *head = u64::from_ne_bytes(bytes);
    *config = id;
    let (every_process, any_cpu, no_group) = (-1, 0, -1);
    // SAFETY: reads `size` bytes of attr, which lives until the call returns.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), every_process, any_cpu, no_group, PERF_FLAG_FD_CLOEXEC)
    };
    owned(fd)
}

/// Returns the obstacle that keeps this user from reading ids of tracepoints, if any.
pub(crate) fn obstacle() -> Option<Obstacle> {
    // The directory belongs to root and is closed to others; its owner can read it.
    let root = Path::new("/proc/self").metadata().is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    match MOUNTED_AT.iter().any(|mount| is_tracefs(mount)) {
        false => Some(Obstacle::NotMounted),
        true if root || MOUNTED_AT.iter().any(|mount| Path::new(mount).join("events/sched").exists()) => None,
        true => Some(Obstacle::Closed),
    }
}

fn is_tracefs(mount: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').skip(1).take(2).eq([mount, "tracefs"]))
}

/// Returns the id of a tracepoint. Its name comes from an object of others, and becomes a part of a path.
fn id(category: &str, name: &str) -> io::Result<u64> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !is_name(category) || !is_name(name) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = format!("events/{category}/{name}/id");
    for mount in MOUNTED_AT {
        match fs::read_to_string(format!("{mount}/{file}")) {
            Ok(id) => return parse(&id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let mount = private_mount()?;
    parse(&fs::read_to_string(format!("/proc/self/fd/{}/{file}", mount.as_raw_fd()))?)
}

/// Mounts a tracefs that only this process sees and that is unmounted when the descriptor is closed. Needs CAP_SYS_ADMIN.
fn private_mount() -> io::Result<OwnedFd> {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: a descriptor that the kernel has just made for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn parse(id: &str) -> io::Result<u64> {
    id.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the id of the tracepoint is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_tracepoint_has_no_id() {
        assert!(id("syscalls", "sys_enter_no_such_call").is_err());
    }
}
