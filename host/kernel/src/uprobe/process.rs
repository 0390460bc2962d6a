//! Which files processes run, as /proc tells it. Whose processes they are is not asked: what they say is not believed further than a
//! bound, and a process that ends meanwhile has nothing.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Of a process's list of mappings: some 40,000 of them. A process may have as many as it likes.
const MAPS_BYTES_MAX: u64 = 4 << 20;
/// Libraries of one process.
const LIBRARIES_MAX: usize = 8;
/// Where a distribution keeps libssl; a process that lives for less than a scan is traced because these are.
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

/// A file, however it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    /// 0 for an overlay: each container has its own, and behind all of them is one file.
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// A file of a process, open: what is looked at is what will be traced.
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) id: FileId,
    /// As its process calls it.
    pub(crate) path: PathBuf,
}

/// Numbers of all processes.
pub(crate) fn all() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?.filter_map(Result::ok);
    Ok(names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// What it executes: another value means that it is another process, or has become one by exec. None for threads of the kernel, for
/// what has ended, and for what we may not see.
pub(crate) fn executable_of(pid: u32) -> Option<(u64, u64)> {
    let found = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((found.dev(), found.ino()))
}

/// The file that it executes.
pub(crate) fn executable(pid: u32) -> Option<Found> {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let path = fs::read_link(&link).unwrap_or_else(|_| link.clone());
    open(&link, path)
}

/// Libraries in its memory that may be OpenSSL's, by name.
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
        let path = PathBuf::from(OsStr::from_bytes(mapping.path));
        // The very file that is mapped, even if it has been replaced since; opening that takes more than CAP_BPF.
        let mapped = Path::new("/proc").join(pid.to_string()).join("map_files").join(mapping.range);
        found.extend(open(&mapped, path.clone()).or_else(|| open(&in_root(pid, &path), path)));
    }
    found
}

/// The root directory that a process sees, as a number.
pub(crate) fn root_of(pid: u32) -> Option<(u64, u64)> {
    let root = fs::metadata(format!("/proc/{pid}/root")).ok()?;
    Some((root.dev(), root.ino()))
}

/// What the distribution under this process's root has, whether somebody uses it or not.
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

/// Opens a regular file; of a pipe or a device that somebody called libssl.so nothing is waited for.
fn open(at: &Path, path: PathBuf) -> Option<Found> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(at).ok()?;
    let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let device = if is_overlay(&file) { 0 } else { about.dev() };
    let id = FileId { device, inode: about.ino(), size: about.size(), changed: (about.ctime(), about.ctime_nsec()) };
    Some(Found { file, id, path })
}

fn is_overlay(file: &File) -> bool {
    // SAFETY: all zero is a value of this struct of integers.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the struct is ours.
    let failed = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut about) } != 0;
    !failed && about.f_type == OVERLAYFS
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

/// `libssl.so.3`, `libssl.so.1.1`, `libssl-81ffa89e.so.3` as wheels of Python call it.
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
    fn a_pipe_by_the_name_of_a_library_is_not_waited_for() {
        let name = std::env::temp_dir().join(format!("libssl-{}.so.3", std::process::id()));
        let text = std::ffi::CString::new(name.as_os_str().as_bytes()).unwrap();
        // SAFETY: a path that ends in NUL.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
        assert!(open(&name, name.clone()).is_none());
        fs::remove_file(&name).unwrap();
    }
}
