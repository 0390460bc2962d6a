//! The memory limit of this process: that of its control groups, of version 2 or 1.

use std::path::{Path, PathBuf};

/// The mount point of control groups.
const MOUNTED: &str = "/sys/fs/cgroup";
/// Minimum value that means no limit: version 1 writes one, rounded to pages.
const UNLIMITED: u64 = 1 << 60;
/// Maximum bytes of a limit's file; a number of 64 bits takes 20.
const MOST: usize = 64;

/// Returns the lowest limit of this process's group and those above it; None if there is none.
#[must_use]
pub(super) fn limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    least(Path::new(MOUNTED), &groups)
}

fn least(mounted: &Path, groups: &str) -> Option<u64> {
    groups.lines().filter_map(|line| of_hierarchy(mounted, line)).min()
}

/// Returns the lowest limit along one line of `/proc/self/cgroup`: `0::/a/b`, or `4:memory:/a/b`.
fn of_hierarchy(mounted: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => (mounted.to_owned(), "memory.max"),
        _ if controllers.split(',').any(|controller| controller == "memory") => {
            (mounted.join("memory"), "memory.limit_in_bytes")
        }
        _ => return None,
    };
    // Version 2 may be mounted beside version 1, and then it sets no limit.
    let below: PathBuf = Path::new(group).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    // In a container the group may have its name on the node and be mounted at the root: a missing folder sets no limit.
    below.ancestors().filter_map(|group| read(&root.join(group).join(file))).min()
}

fn read(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok().filter(|text| text.len() <= MOST)?;
    text.trim().parse().ok().filter(|limit| *limit < UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(root: &Path, below: &str, file: &str, limit: &str) {
        let folder = root.join(below);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), limit).unwrap();
    }

    #[test]
    fn the_least_limit_from_the_own_group_to_the_root_holds() {
        let root = tempfile::tempdir().unwrap();
        group(root.path(), "a/b", "memory.max", "max\n");
        group(root.path(), "a", "memory.max", "67108864\n");
        assert_eq!(least(root.path(), "0::/a/b\n"), Some(64 << 20));
        assert_eq!(least(root.path(), "0::/a/../../a\n"), Some(64 << 20), "no way out of the mount");
        assert_eq!(least(root.path(), "0::/other\n"), None);
        group(root.path(), "", "memory.max", "1048576\n");
        assert_eq!(least(root.path(), "0::/a/b\n"), Some(1 << 20));
    }

    #[test]
    fn version_1_has_its_limit_in_a_hierarchy_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let file = "memory.limit_in_bytes";
        group(root.path(), "memory", file, "9223372036854771712\n");
        let groups = "12:cpu,cpuacct:/x\n5:memory:/docker/1\n0::/\n";
        assert_eq!(least(root.path(), groups), None);
        group(root.path(), "memory/docker/1", file, "134217728\n");
        assert_eq!(least(root.path(), groups), Some(128 << 20));
        assert_eq!(least(root.path(), ""), None);
    }
}
