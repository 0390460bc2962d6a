//! Reads files whose paths others chose, without blocking, up to a maximum size.
//!
//! A path may lead to a pipe without a writer, to a device, to a mount that does not answer, or to a file without an end. So only regular
//! files are read, opened without blocking, up to a maximum size; reads that may hang even so run on a thread that no other work needs
//! ([`read_privileged`]).

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use crate::privileged::{self, Late};
use crate::regular;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system's error.
    #[error("{0}")]
    System(#[from] io::Error),
    /// It is not a regular file.
    #[error("this is {0}, not a file")]
    Other(&'static str),
    /// It has no bytes now, and reading would block.
    #[error("this file has to be waited for")]
    Waits,
    /// It has more bytes than the maximum.
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    /// The system did not answer in time.
    #[error("{0}")]
    Late(#[from] Late),
}

/// Maximum time for reading a file. Five seconds suffice for 64 MiB from a slow disk; a longer read is considered hung.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Returns the bytes of a regular file of at most `most` bytes. Blocks on nothing but the disk.
///
/// # Errors
/// The file does not exist, this user may not read it, it is not a regular file, or it is larger than `most` or grows while it is read.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    // Checked before opening: opening a device may have effects.
    only_regular(&std::fs::metadata(path)?)?;
    // The path may lead to another file by now.
    let file = regular::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > most {
        return Err(FileError::TooLarge(most));
    }
    bounded(file, metadata.len(), most)
}

/// Same as [`read`], for a file that may be closed to this user, within [`PATIENCE`].
///
/// # Errors
/// Those of [`read`]; also if the read hangs, or too many others do.
pub fn read_privileged(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let path = path.to_owned();
    privileged::read(PATIENCE, move || read(&path, most))?
}

// === impl FileError ===

impl FileError {
    /// Whether the path does not exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Returns the cure.
    #[must_use]
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::System(_) => "check the path and that this user may read the file",
            Self::Other(_) | Self::Waits => {
                "give the path of a regular file; write to one first what comes out of something else"
            }
            Self::TooLarge(_) => "give a smaller file, or look whether this is the one that was meant",
            Self::Late(_) => "look whether the mount that it lies on answers, and give a copy on a local disk",
        }
    }
}

fn only_regular(metadata: &Metadata) -> Result<(), FileError> {
    let kind = metadata.file_type();
    if kind.is_file() { Ok(()) } else { Err(FileError::Other(name(kind))) }
}

fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something else"
    }
}

/// Reads `file`, whose size was reported as `expected`: it may have grown since.
fn bounded(file: File, expected: u64, most: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0).saturating_add(1));
    match file.take(most.saturating_add(1)).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > most => Err(FileError::TooLarge(most)),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(FileError::Waits),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_bound_and_not_a_byte_further() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, [7; 100]).unwrap();
        assert_eq!(read(&file, 100).unwrap(), [7; 100]);
        assert!(matches!(read(&file, 99), Err(FileError::TooLarge(99))));
        assert!(read(&folder.path().join("none"), 1).unwrap_err().is_absent());
    }

    #[test]
    fn nothing_but_a_regular_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, socket, link) = (folder.path().join("pipe"), folder.path().join("socket"), folder.path().join("link"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let _listener = UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let places = [
            (pipe.as_path(), "a pipe"),
            (&link, "a pipe"),
            (&socket, "a socket"),
            (folder.path(), "a directory"),
            (Path::new("/dev/zero"), "a device"),
            (Path::new("/dev/tty"), "a device"),
        ];
        for (path, kind) in places {
            let error = read(path, 1 << 20).unwrap_err();
            assert!(matches!(error, FileError::Other(is) if is == kind), "{}: {error}", path.display());
            assert!(error.cure().contains("regular file"));
        }
    }

    #[test]
    fn a_file_that_says_that_it_is_empty_and_has_no_end_is_cut_at_the_bound() {
        // A file of the kernel that reports no size: its first page exceeds the maximum.
        let error = read(Path::new("/proc/self/smaps"), 4096).unwrap_err();
        assert!(matches!(error, FileError::TooLarge(4096)), "{error}");
    }

    #[test]
    fn a_file_whose_bytes_have_to_be_waited_for_is_not_waited_for() {
        let (waiting, _writer) = std::io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(waiting));
        rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::NONBLOCK).unwrap();
        assert!(matches!(bounded(file, 0, 10), Err(FileError::Waits)));
    }
}
