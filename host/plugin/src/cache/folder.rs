//! A directory that only its user can access, with a key in it. Files appear in it complete or not at all.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::entry::SUFFIX;

/// An open directory: the handle stays valid even if another directory is moved to its path.
pub(super) struct Folder {
    path: PathBuf,
    handle: OwnedFd,
}

/// Why the cache cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory or its key cannot be accessed.
    #[error("the cache of compiled code does not open: {path}: {error}")]
    System {
        /// Path of the directory or its key.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The directory or its key belongs to another user.
    #[error("{path} belongs to user {owner}, and this host runs as user {own}: compiled code of others is not run")]
    Foreign {
        /// Path of the directory or its key.
        path: PathBuf,
        /// The user that it belongs to.
        owner: u32,
        /// The user that it must belong to.
        own: u32,
    },
    /// Other users may read or write it.
    #[error("{path} has mode {mode:03o}: others can reach it, who could have this host run their code")]
    Exposed {
        /// Path of the directory or its key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The most permissive mode that is accepted.
        must: u32,
    },
    /// The key's file does not hold a key.
    #[error("{path} is not a key: it has {bytes} bytes instead of {KEY}")]
    NoKey {
        /// Path of the key's file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
}

/// File name of the key.
const KEY_FILE: &str = "key";
/// Length of the key in bytes: that of the hash, as HMAC requires.
const KEY: usize = 32;
/// Suffix of files while they are written.
const UNFINISHED: &str = ".new";
/// Age from which an unfinished file is removed: its writer has ended.
const FORGOTTEN: Duration = Duration::from_secs(3_600);

// === impl CacheError ===

impl CacheError {
    /// Returns the cure.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::System { .. } => "name a folder that this user may write, on a disk with room".into(),
            Self::Foreign { path, .. } => {
                format!("name another folder, or `chown` {} to the user that the host runs as", path.display())
            }
            Self::Exposed { path, must, .. } => {
                format!("`chmod {must:o} {0}`, and if others could write to it before, remove what is in it", path.display())
            }
            Self::NoKey { path, .. } => {
                format!("remove {}: a new one is made, and everything is compiled once more", path.display())
            }
        }
    }
}

// === impl Folder ===

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        let system = |error: io::Error| CacheError::System { path: path.into(), error };
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(system)?;
        }
        match builder.create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(system(error)),
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| system(errno.into()))?;
        own(path, &handle, 0o700)?;
        Ok(Self { path: path.into(), handle })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the key; creates one if there is none.
    pub(super) fn key(&self) -> Result<[u8; KEY], CacheError> {
        let path = self.path.join(KEY_FILE);
        let system = |error: io::Error| CacheError::System { path: path.clone(), error };
        let file = match self.file(KEY_FILE, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_key().map_err(system)?;
                self.file(KEY_FILE, OFlags::RDONLY)
            }
            file => file,
        };
        let mut file = file.map_err(system)?;
        own(&path, &file, 0o600)?;
        let bytes = file.metadata().map_err(system)?.len();
        let mut key = [0; KEY];
        if bytes != KEY as u64 {
            return Err(CacheError::NoKey { path, bytes });
        }
        file.read_exact(&mut key).map_err(system)?;
        Ok(key)
    }

    /// Creates the key. If several processes create one at the same time, the first wins: a link does not replace.
    fn make_key(&self) -> io::Result<()> {
        let mut key = [0; KEY];
        SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("the kernel has no random numbers"))?;
        let name = self.unfinished(&key)?;
        let linked = rustix::fs::linkat(&self.handle, &name, &self.handle, KEY_FILE, AtFlags::empty());
        rustix::fs::unlinkat(&self.handle, &name, AtFlags::empty())?;
        match linked {
            Ok(()) | Err(Errno::EXIST) => Ok(rustix::fs::fsync(&self.handle)?),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns at most `max` bytes of a file; None if it does not exist. Reading it updates its modification time.
    pub(super) fn read(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.file(name, OFlags::RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // Only the order of removal depends on it.
        let _ = file.set_modified(SystemTime::now());
        let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len().min(max)).unwrap_or(0));
        file.take(max).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file, and replaces an existing one.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.unfinished(bytes)?;
        rustix::fs::renameat(&self.handle, &unfinished, &self.handle, name)?;
        Ok(rustix::fs::fsync(&self.handle)?)
    }

    /// Writes a file under a temporary name, so that it is on the disk before it gets its own.
    fn unfinished(&self, bytes: &[u8]) -> io::Result<String> {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("the kernel has no random numbers"))?;
        let name = format!("{:016x}{UNFINISHED}", u64::from_le_bytes(random));
        let mut file = self.file(&name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // The disk may be full: the partial file is removed.
            let _ = rustix::fs::unlinkat(&self.handle, &name, AtFlags::empty());
            return Err(error);
        }
        Ok(name)
    }

    /// Removes the entries that were not used for the longest time until the rest has at most `max` bytes; `kept` stays. An entry that
    /// cannot be removed now is tried again the next time.
    pub(super) fn bound(&self, max: u64, kept: &str) {
        let Ok(directory) = Dir::read_from(&self.handle) else { return };
        let mut entries = Vec::new();
        for found in directory.flatten() {
            let Some((bytes, used)) = self.look(found.file_name()) else { continue };
            let name = found.file_name().to_string_lossy().into_owned();
            if name.ends_with(UNFINISHED) && used.elapsed().is_ok_and(|age| age > FORGOTTEN) {
                let _ = rustix::fs::unlinkat(&self.handle, &name, AtFlags::empty());
            } else if name.ends_with(SUFFIX) {
                entries.push((used, name, bytes));
            }
        }
        let mut all: u64 = entries.iter().map(|(_, _, bytes)| bytes).sum();
        entries.sort();
        for (_, name, bytes) in entries {
            if all <= max {
                break;
            }
            if name != kept && rustix::fs::unlinkat(&self.handle, &name, AtFlags::empty()).is_ok() {
                all -= bytes;
            }
        }
    }

    /// Returns size and last use of a file.
    fn look(&self, name: &CStr) -> Option<(u64, SystemTime)> {
        let metadata = self.file(name.to_str().ok()?, OFlags::RDONLY).ok()?.metadata().ok()?;
        metadata.is_file().then(|| Some((metadata.len(), metadata.modified().ok()?)))?
    }

    fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        // NONBLOCK: opening a pipe of this name does not block.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(File::from(rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o600))?))
    }
}

/// Checks that only this user can access a file or directory.
fn own(path: &Path, file: &impl AsFd, must: u32) -> Result<(), CacheError> {
    let stat = rustix::fs::fstat(file).map_err(|errno| CacheError::System { path: path.into(), error: errno.into() })?;
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return Err(CacheError::Foreign { path: path.into(), owner: stat.st_uid, own });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CacheError::Exposed { path: path.into(), mode, must });
    }
    Ok(())
}
