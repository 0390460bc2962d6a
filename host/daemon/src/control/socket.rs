//! The socket file: which process may own it, and which peers may connect.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use tokio::net::{UnixListener, UnixStream};

use crate::remnant::Remnant;

/// The control socket of this process. Dropping it removes the file.
///
/// The process that holds the lock file beside it owns the socket: the file of a killed daemon is replaced, that of a running one never is,
/// even if two start at once.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) listener: UnixListener,
    socket: Remnant,
    lock: Remnant,
    group: u32,
    /// The lock, held as long as this process lives.
    _locked: File,
}

/// Reasons why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon owns it.
    #[error("another host is running, pid {pid}, with the control socket {}", socket.display())]
    Taken {
        /// The socket.
        socket: PathBuf,
        /// The pid of its owner; `unknown` if the lock file does not hold it.
        pid: String,
    },
    /// The lock file is a link, or belongs to another user, who could have this process write elsewhere.
    #[error("{} is a link, not a plain file, or not of this user", .0.display())]
    NotOurs(PathBuf),
    /// The file of that name is not a socket.
    #[error("{} is there and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("control socket {}: {source}", socket.display())]
    System {
        /// The socket.
        socket: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
}

/// The process at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

// === impl Socket ===

impl Socket {
    /// Creates and locks the socket. The folder must exist.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        let system = |source: std::io::Error| SocketError::System { socket: path.to_owned(), source };
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let locked = take_lock(&lock).map_err(|error| match error.raw_os_error() {
            Some(LOOP) => SocketError::NotOurs(lock.clone()),
            _ => system(error),
        })?;
        let locked = match locked {
            Lock::Ours(file) => file,
            Lock::Taken(pid) => return Err(SocketError::Taken { socket: path.to_owned(), pid }),
            Lock::NotOurs => return Err(SocketError::NotOurs(lock)),
        };
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path).map_err(system)?,
            Ok(_) => return Err(SocketError::NotASocket(path.to_owned())),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(system)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(system)?;
        let group = std::fs::symlink_metadata(path).map_err(system)?.gid();
        // While the listener is open, the socket's inode number cannot be reused.
        let socket = Remnant::at(path).map_err(system)?;
        let lock = Remnant::open(&lock, &locked).map_err(system)?;
        Ok(Self { listener, socket, lock, group, _locked: locked })
    }

    /// Returns the files to remove if this process ends without dropping it.
    pub(crate) fn remnants(&self) -> [Remnant; 2] {
        [self.socket.clone(), self.lock.clone()]
    }

    /// Whether this peer may send requests: the daemon's user, root, or a member of the socket's group.
    pub(super) fn admits(&self, peer: Peer) -> bool {
        let daemon = rustix::process::geteuid().as_raw();
        peer.uid == 0 || peer.uid == daemon || peer.gid == self.group || peer.in_group(self.group)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.remove();
        self.lock.remove();
    }
}

// === impl SocketError ===

impl SocketError {
    /// Returns the cure.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::Taken { .. } => "ask that one (`host status`), stop it, or name another socket with --socket".into(),
            Self::NotOurs(lock) => format!(
                "look who made {}, remove it, and keep sockets in a folder that only their owner writes to; or name another with --socket",
                lock.display()
            ),
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

    /// SO_PEERCRED reports only the first group; the others are in /proc.
    fn in_group(self, group: u32) -> bool {
        let Some(pid) = self.pid else { return false };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
        groups.split_ascii_whitespace().any(|gid| gid.parse() == Ok(group))
    }
}

/// The result of an attempt to lock.
enum Lock {
    Ours(File),
    /// The pid of the owner.
    Taken(String),
    NotOurs,
}

/// The error of opening a link with O_NOFOLLOW.
const LOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();

fn take_lock(path: &Path) -> std::io::Result<Lock> {
    loop {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o644).custom_flags(flags);
        let mut file = options.open(path)?;
        let found = file.metadata()?;
        let me = rustix::process::geteuid().as_raw();
        // A pipe, or a file of another user that happens to have this name: nothing is written to it.
        if !found.is_file() || found.nlink() > 1 || (found.uid() != me && found.uid() != 0 && me != 0) {
            return Ok(Lock::NotOurs);
        }
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = Read::by_ref(&mut file).take(16).read_to_string(&mut pid);
            let digits = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            return Ok(Lock::Taken(if digits { pid } else { "unknown".into() }));
        }
        // The previous owner may have removed the file between our open and our lock; then the lock is void.
        if Remnant::open(path, &file)?.is_there() {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())?;
            return Ok(Lock::Ours(file));
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
    async fn a_lock_that_is_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("host.sock"), folder.path().join("victim"));
        std::fs::write(&victim, "dear").unwrap();
        let lock = folder.path().join("host.sock.lock");
        std::os::unix::fs::symlink(&victim, &lock).unwrap();
        let refused = Socket::bind(&path).unwrap_err();
        assert!(matches!(refused, SocketError::NotOurs(_)) && refused.cure().contains("host.sock.lock"), "{refused}");
        std::fs::remove_file(&lock).unwrap();
        std::fs::hard_link(&victim, &lock).unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::NotOurs(_))), "another name of the same file is a link as well");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "dear");
    }

    #[tokio::test]
    async fn a_daemon_that_ends_leaves_the_socket_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.sock");
        let first = Socket::bind(&path).unwrap();
        // An operator removes the files and starts another daemon.
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(folder.path().join("host.sock.lock")).unwrap();
        let second = Socket::bind(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).await.unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::Taken { .. })), "its lock is there as well");
        drop(second);
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
