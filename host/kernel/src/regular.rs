//! Opens files that others named or own without blocking: the path may lead to a pipe without a writer, to a terminal, to a device.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a regular file for reading. The file type is checked on the opened file, not on the path.
///
/// A file system that does not answer (a server that is gone, FUSE) still blocks: such a call belongs to a thread that can be left behind,
/// see [`privileged::read`](crate::privileged::read).
///
/// # Errors
/// The file cannot be opened, or it is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a file")) }
}

/// Returns the first `max` bytes of a regular file. Files in /proc are regular and report size 0, so the size is not used.
///
/// # Errors
/// Those of [`open`], and read errors.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn pipes_devices_sockets_and_folders_are_refused_at_once() {
        let folder = std::env::temp_dir().join(format!("host-regular-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (pipe, link, socket) = (folder.join("pipe"), folder.join("link"), folder.join("socket"));
        mkfifoat(CWD, &pipe, Mode::RUSR).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&pipe, &link, &socket, &folder, Path::new("/dev/zero"), Path::new("/dev/ptmx"), &folder.join("none")] {
            assert!(open(path).is_err() && read(path, 1).is_err(), "{}", path.display());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        assert_eq!(read(Path::new("/proc/version"), 5).unwrap(), b"Linux");
        assert!(read(&std::env::current_exe().unwrap(), 100).unwrap().len() == 100);
    }
}
