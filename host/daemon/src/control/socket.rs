//! The socket file: who may hold it, who may speak.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use tokio::net::{UnixListener, UnixStream};

/// The control socket of this process. Dropping it removes the file.
///
/// Who holds the lock beside it owns the socket, so that the file of a daemon that was killed is replaced, and never that of one
/// that lives, even if two start at once.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    lock: PathBuf,
    group: u32,
    /// Held as long as this process lives.
    _locked: File,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon has it.
    #[error("another host is running, pid {pid}, with the control socket {}", socket.display())]
    Taken {
        /// The socket.
        socket: PathBuf,
        /// Whose it is; `unknown` if it did not say.
        pid: String,
    },
    /// There is a file of that name that is not a socket.
    #[error("{} is there and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("control socket {}: {source}", socket.display())]
    System {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

// === impl Socket ===

impl Socket {
    /// Takes the socket. The folder must be there.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        let system = |source: std::io::Error| SocketError::System { socket: path.to_owned(), source };
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let locked = take_lock(&lock).map_err(system)?.map_err(|pid| SocketError::Taken { socket: path.to_owned(), pid })?;
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map_err(system)?,
            Ok(_) => return Err(SocketError::NotASocket(path.to_owned())),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(system)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(system)?;
        let group = std::fs::metadata(path).map_err(system)?.gid();
        Ok(Self { listener, path: path.to_owned(), lock, group, _locked: locked })
    }

    /// What is left behind if this process ends without dropping it.
    pub(crate) fn files(&self) -> [PathBuf; 2] {
        [self.path.clone(), self.lock.clone()]
    }

    /// Whether this peer may speak: the daemon's user, root, or a member of the socket's group.
    pub(super) fn admits(&self, peer: Peer) -> bool {
        let daemon = rustix::process::geteuid().as_raw();
        peer.uid == 0 || peer.uid == daemon || peer.gid == self.group || peer.in_group(self.group)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.lock);
    }
}

// === impl SocketError ===

impl SocketError {
    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::Taken { .. } => "ask that one (`host status`), stop it, or name another socket with --socket".into(),
            Self::NotASocket(path) => format!("remove {} or name another socket with --socket", path.display()),
            Self::System { .. } => "name a socket in a folder that you may write to with --socket".into(),
        }
    }
}

// === impl Peer ===

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
    }

    /// SO_PEERCRED tells only the first group; the others are in /proc.
    fn in_group(self, group: u32) -> bool {
        let Some(pid) = self.pid else { return false };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
        groups.split_ascii_whitespace().any(|gid| gid.parse() == Ok(group))
    }
}

/// The lock, or the pid of who has it.
fn take_lock(path: &Path) -> std::io::Result<Result<File, String>> {
    loop {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = Read::by_ref(&mut file).take(16).read_to_string(&mut pid);
            let digits = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            return Ok(Err(if digits { pid } else { "unknown".into() }));
        }
        // The one before may have removed the file between our open and our lock; then the lock is on nothing.
        if std::fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|ours| ours.ino() == now.ino())) {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())?;
            return Ok(Ok(file));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_of_a_killed_daemon_is_replaced_and_that_of_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a socket nobody listens on");
        let live = Socket::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);

        let error = Socket::bind(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        UnixStream::connect(&path).await.unwrap();

        drop(live);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.txt");
        std::fs::write(&path, "dear").unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear");
    }

    #[tokio::test]
    async fn a_stranger_is_not_admitted() {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(&folder.path().join("host.sock")).unwrap();
        let me = rustix::process::geteuid().as_raw();
        assert!(socket.admits(Peer { uid: me, gid: 65534, pid: None }));
        assert!(socket.admits(Peer { uid: 65534, gid: socket.group, pid: None }));
        assert!(socket.admits(Peer { uid: 0, gid: 0, pid: None }));
        assert!(!socket.admits(Peer { uid: 65534, gid: 65534, pid: None }));
    }
}
