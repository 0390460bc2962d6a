//! The cgroup id that BPF programs compare, from a cgroup's path.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::KernelError;

/// Inode of the root of the real hierarchy. In a container's cgroup namespace another directory appears as the root.
const ROOT_INODE: u64 = 1;

/// Returns the id of a cgroup v2, as records and filters have it.
///
/// `path` is a directory below the cgroup v2 mount, or relative to it: `/sys/fs/cgroup/system.slice`, `system.slice`, or
/// `/system.slice` as /proc/PID/cgroup writes it.
///
/// # Errors
/// There is no such cgroup, or no cgroup v2 mount.
pub fn id(path: &Path) -> Result<u64, KernelError> {
    let mount = mount()?;
    let below = mount.join(path.strip_prefix("/").unwrap_or(path));
    let directory = if path.starts_with(&mount) { path } else { &below };
    let metadata = fs::metadata(directory)
        .map_err(|error| KernelError::Filter(format!("no cgroup v2 {} ({error})", directory.display())))?;
    if !directory.join("cgroup.procs").exists() {
        return Err(KernelError::Filter(format!("{} is not a cgroup v2 directory", directory.display())));
    }
    Ok(metadata.ino())
}

/// Returns the depth of a cgroup below the root.
pub(crate) fn level(id: u64) -> Result<u32, KernelError> {
    let mount = mount()?;
    let inode = fs::metadata(&mount).map_err(|error| KernelError::Filter(format!("{}: {error}", mount.display())))?.ino();
    if inode != ROOT_INODE {
        return Err(KernelError::Filter(format!(
            "{} is not the root of the hierarchy but the view of a container; run with the host's cgroup namespace",
            mount.display()
        )));
    }
    let mut generation = vec![mount];
    for level in 0.. {
        if generation.is_empty() {
            break;
        }
        if generation.iter().any(|directory| fs::metadata(directory).is_ok_and(|metadata| metadata.ino() == id)) {
            return Ok(level);
        }
        generation = generation.iter().flat_map(|directory| children(directory)).collect();
    }
    Err(KernelError::Filter(format!("there is no cgroup v2 with id {id}")))
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn mount() -> Result<PathBuf, KernelError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    find_mount(&mounts).ok_or_else(|| KernelError::Filter("no cgroup v2 hierarchy is mounted".into()))
}

/// Returns the mount point of the cgroup2 file system listed in `mountinfo`.
fn find_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let target = before.split(' ').nth(4)?;
        after.starts_with("cgroup2 ").then(|| PathBuf::from(target))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v2_hierarchy_is_found_beside_v1_ones() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n\
                      42 24 0:38 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw\n";
        assert_eq!(find_mount(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(find_mount("1 1 0:1 / / rw - ext4 /dev/vda rw\n"), None);
    }

    #[test]
    fn a_path_that_is_no_cgroup_is_named() {
        let Ok(mount) = mount() else { return };
        let error = id(Path::new("no/such/cgroup")).unwrap_err().to_string();
        assert!(error.contains("no/such/cgroup") && error.contains(&mount.display().to_string()), "{error}");
    }
}
