//! Finds the files that processes run, in /proc. Processes of all users are included: their content is read only up to a maximum size, and
//! a process that ends meanwhile has no files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, fstatfs, makedev, statx};

use super::news::Mapped;

/// Maximum number of bytes read of a process's list of mappings: some 40,000 of them. A process may have any number.
const MAPS_BYTES_MAX: u64 = 4 << 20;
/// Maximum number of libraries of one process.
const LIBRARIES_MAX: usize = 8;
/// Directories in which distributions install libssl; traced in advance, for processes that live for less than a scan.
const STANDING: [&str; 8] = [
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "lib",
    "usr/local/lib",
];
const SONAMES: [&str; 2] = ["libssl.so.3", "libssl.so.1.1"];
const OVERLAYFS: i64 = 0x794c_7630;

/// Identity of a file, independent of the path to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    /// 0 on an overlay file system: each container has its own, but the file behind them is the same.
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// Device and inode.
pub(crate) type FileNumber = (u64, u64);

/// An open file of a process: the descriptor guarantees that the file examined is the file traced.
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) id: FileId,
    /// Path of the file, as its process sees it.
    pub(crate) path: PathBuf,
}

// === impl FileId ===

impl FileId {
    /// Whether the file is on this device and not on an overlay.
    pub(crate) fn is_on(&self, device: Option<u64>) -> bool {
        self.device != 0 && Some(self.device) == device
    }
}

/// Returns the pids of all processes.
pub(crate) fn all() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?.filter_map(Result::ok);
    Ok(names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Returns the number of the file that a process executes: another value means another process, or an exec. None for kernel threads, for
/// processes that have ended, and for processes that we may not see.
pub(crate) fn executable_of(pid: u32) -> Option<FileNumber> {
    number(&format!("/proc/{pid}/exe"))
}

/// Returns the file that a process executes.
pub(crate) fn executable(pid: u32) -> Option<Found> {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let path = fs::read_link(&link).unwrap_or_else(|_| link.clone());
    open(&link, path)
}

/// Returns mapped libraries that, by their names, may be OpenSSL's.
pub(crate) fn libraries(pid: u32) -> Vec<Found> {
    let Ok(maps) = File::open(format!("/proc/{pid}/maps")) else { return Vec::new() };
    let mut seen: Vec<u64> = Vec::new();
    let mut found = Vec::new();
    for line in BufReader::with_capacity(64 << 10, maps.take(MAPS_BYTES_MAX)).split(b'\n').map_while(Result::ok) {
        let Some(mapping) = mapping(&line) else { continue };
        if seen.contains(&mapping.inode) || !is_libssl(mapping.path) {
            continue;
        }
        if seen.len() == LIBRARIES_MAX {
            break;
        }
        seen.push(mapping.inode);
        found.extend(of_range(pid, mapping.range, Path::new(OsStr::from_bytes(mapping.path))));
    }
    found
}

/// Returns the file that a process has just mapped, if its name is that of an OpenSSL library.
pub(crate) fn library(mapped: &Mapped) -> Option<Found> {
    if !is_libssl(&mapped.path) {
        return None;
    }
    of_range(mapped.pid, &mapped.range, Path::new(OsStr::from_bytes(&mapped.path)))
}

/// Opens the file that is mapped, even if its path leads to another by now; that needs more than CAP_BPF; without it the path is opened.
fn of_range(pid: u32, range: &str, path: &Path) -> Option<Found> {
    let mapped = Path::new("/proc").join(pid.to_string()).join("map_files").join(range);
    open(&mapped, path.to_owned()).or_else(|| open(&in_root(pid, path), path.to_owned()))
}

/// Returns the number of the root directory that a process sees.
pub(crate) fn root_of(pid: u32) -> Option<FileNumber> {
    number(&format!("/proc/{pid}/root"))
}

/// Returns the device of this machine's own root directory, which stays mounted as long as the machine runs.
pub(crate) fn lasting_device() -> Option<u64> {
    fs::metadata("/proc/1/root").or_else(|_| fs::metadata("/")).ok().map(|root| root.dev())
}

/// Returns device and inode of a path's target from cached attributes, so that a file server that is gone is not queried.
fn number(path: &str) -> Option<FileNumber> {
    let about = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok()?;
    Some((makedev(about.stx_dev_major, about.stx_dev_minor), about.stx_ino))
}

/// Returns the libssl files that the distribution under this process's root has, used or not.
pub(crate) fn standing(pid: u32) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for folder in STANDING {
        for name in SONAMES {
            let path = Path::new("/").join(folder).join(name);
            if let Some(library) = open(&in_root(pid, &path), path)
                && found.iter().all(|other| other.id != library.id)
            {
                found.push(library);
            }
        }
    }
    found
}

fn in_root(pid: u32, path: &Path) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join("root").join(path.strip_prefix("/").unwrap_or(path))
}

/// Opens a regular file, without blocking on a pipe or a device that is named libssl.so.
fn open(at: &Path, path: PathBuf) -> Option<Found> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(at).ok()?;
    let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let device = if is_overlay(&file) { 0 } else { about.dev() };
    let id = FileId { device, inode: about.ino(), size: about.size(), changed: (about.ctime(), about.ctime_nsec()) };
    Some(Found { file, id, path })
}

fn is_overlay(file: &File) -> bool {
    fstatfs(file).is_ok_and(|about| about.f_type == OVERLAYFS)
}

/// A line of /proc/PID/maps that maps code from a file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    range: &'a str,
    inode: u64,
    path: &'a [u8],
}

fn mapping(line: &[u8]) -> Option<Mapping<'_>> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut next = || std::str::from_utf8(fields.next()?).ok();
    let (range, rights, _offset, _device, inode) = (next()?, next()?, next()?, next()?, next()?);
    let path = fields.next()?.trim_ascii_start();
    let range_is_plain = range.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    (range_is_plain && rights.as_bytes().get(2) == Some(&b'x') && path.starts_with(b"/")).then_some(())?;
    Some(Mapping { range, inode: inode.parse().ok()?, path })
}

/// Whether a file name is that of libssl: `libssl.so.3`, `libssl.so.1.1`, or `libssl-81ffa89e.so.3` as Python wheels name it.
fn is_libssl(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    name.starts_with(b"libssl") && name.windows(3).any(|part| part == b".so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_libssl_is_found_in_a_list_of_mappings() {
        let line = b"7f6c0a01e000-7f6c0a07a000 r-xp 0001e000 fe:00 393573                     /usr/lib/x/libssl.so.3";
        let found = mapping(line).unwrap();
        assert_eq!((found.range, found.inode), ("7f6c0a01e000-7f6c0a07a000", 393_573));
        assert!(is_libssl(found.path));
        let gone = b"1-2 r-xp 0 fe:00 7 /a b/libssl-81ffa89e.so.1.1 (deleted)";
        assert_eq!(mapping(gone).unwrap().path, b"/a b/libssl-81ffa89e.so.1.1");
        for other in
            ["1-2 r--p 0 0:0 7 /libssl.so.3", "1-2 r-xp 0 0:0 0 [vdso]", "1-2 r-xp 0 0:0 0", "../-2 r-xp 0 0:0 7 /x", ""]
        {
            assert_eq!(mapping(other.as_bytes()), None, "{other}");
        }
        assert!(!is_libssl(b"/usr/lib/libssl/libcrypto.so.3") && !is_libssl(b"/libssl.pc"));
    }

    #[test]
    fn a_number_is_that_of_the_file_behind_a_link() {
        let about = fs::metadata("/proc/self/exe").unwrap();
        assert_eq!(executable_of(std::process::id()).unwrap().1, about.ino());
        assert_eq!((executable_of(u32::MAX), root_of(u32::MAX)), (None, None));
        assert_ne!(root_of(std::process::id()), executable_of(std::process::id()));
    }

    #[test]
    fn a_pipe_by_the_name_of_a_library_is_not_waited_for() {
        let name = std::env::temp_dir().join(format!("libssl-{}.so.3", std::process::id()));
        rustix::fs::mkfifoat(CWD, &name, rustix::fs::Mode::RUSR).unwrap();
        assert!(open(&name, name.clone()).is_none());
        fs::remove_file(&name).unwrap();
    }
}
