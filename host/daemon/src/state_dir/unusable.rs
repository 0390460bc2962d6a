//! Folders that are not safe to write to.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Reasons why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The system refused.
    #[error("{0}")]
    System(#[from] io::Error),
    /// It is not a folder.
    #[error("{} is not a folder, or a link to one that others may have made", .0.display())]
    NotAFolder(PathBuf),
    /// Another user owns it.
    #[error("{} belongs to user {owner}: whoever owns it decides what this host reads and removes there", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its user.
        owner: u32,
    },
    /// Others may write there.
    #[error("{} has mode {mode:03o}: others could put links there, for this host to write and remove what is behind them", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The cache of compiled code cannot be used.
    #[cfg(feature = "compiler")]
    #[error(transparent)]
    Cache(#[from] host_plugin::CacheError),
}

// === impl Unusable ===

impl Unusable {
    pub(crate) fn cure(&self) -> String {
        match self {
            Self::System(_) => "name a folder that this user may write to".into(),
            Self::NotAFolder(path) => format!("look what {} is, and remove it: a new one is made", path.display()),
            Self::Foreign { path, .. } => {
                format!("name another folder, or `chown` {} to the user that the host runs as", path.display())
            }
            Self::Open { path, .. } => format!("`chmod 700 {0}`, and see that nothing in it is a link", path.display()),
            #[cfg(feature = "compiler")]
            Self::Cache(error) => error.cure(),
        }
    }
}

/// Refuses a folder in which other users could replace files that this host writes, reads and removes. `found` is its metadata.
pub(crate) fn only_ours(path: &Path, found: &Metadata) -> Result<(), Unusable> {
    if !found.is_dir() {
        return Err(Unusable::NotAFolder(path.to_owned()));
    }
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me && found.uid() != 0 {
        return Err(Unusable::Foreign { path: path.to_owned(), owner: found.uid() });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(Unusable::Open { path: path.to_owned(), mode });
    }
    Ok(())
}
