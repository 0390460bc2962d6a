//! The state folder: what is kept between two runs. A folder that was named must be usable; one that nobody named is used if it
//! can be. Others must not be able to write there: a link of theirs would lead what is written and removed to another place.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use host_api::{Refusal, Step};

use crate::config::default_state_dir;
use crate::settings::Settings;

/// The folder of one run; None if there is none to be had.
pub(crate) struct StateDir {
    folder: Option<PathBuf>,
    /// Somebody said that it must be this one.
    named: bool,
}

/// Why a folder is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("{0}")]
    System(#[from] io::Error),
    #[error("{} is not a folder, or a link to one that others may have made", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} belongs to user {owner}: whoever owns it decides what this host reads and removes there", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{} has mode {mode:03o}: others could put links there, for this host to write and remove what is behind them", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[cfg(feature = "compiler")]
    #[error(transparent)]
    Cache(#[from] host_plugin::CacheError),
}

// === impl StateDir ===

impl StateDir {
    /// The folder that the settings name, else the default one.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Refusal> {
        let named = settings.state_dir.as_ref().or(settings.config.state_dir.as_ref());
        let folder = named.cloned().or_else(default_state_dir);
        let mut state_dir = Self { folder, named: named.is_some() };
        if let Some(folder) = state_dir.folder.clone() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(Unusable::from);
            // The operator may have put it on another disk by a link; what counts is the folder that it leads to.
            let sound = made.and_then(|()| only_ours(&folder, &std::fs::metadata(&folder)?));
            if state_dir.usable(&folder, sound)?.is_none() {
                state_dir.folder = None;
            }
        }
        Ok(state_dir)
    }

    /// The same without making it: a folder that is there must be usable, and is used for compiled code if this user may.
    pub(crate) fn examine(settings: &Settings) -> Result<Self, Refusal> {
        let named = settings.state_dir.as_ref().or(settings.config.state_dir.as_ref());
        let mut state_dir = Self { folder: None, named: named.is_some() };
        let writable = |folder: &Path| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).map_err(io::Error::from);
        let folder = named.cloned().or_else(default_state_dir);
        for folder in folder.iter() {
            let there = folder.ancestors().find_map(|folder| Some((folder, std::fs::metadata(folder).ok()?)));
            let sound = match there {
                Some((there, found)) if there == folder => only_ours(folder, &found),
                Some((_, found)) if !found.is_dir() => Err(io::Error::from(io::ErrorKind::NotADirectory).into()),
                Some((there, _)) => writable(there).map_err(Unusable::from),
                None => Ok(()),
            };
            if state_dir.usable(folder, sound)?.is_some() && folder.is_dir() && writable(folder).is_ok() {
                state_dir.folder = Some(folder.clone());
            }
        }
        Ok(state_dir)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What could be made; for a folder that nobody named, None if it could not.
    pub(crate) fn usable<T, E: Into<Unusable>>(&self, folder: &Path, made: Result<T, E>) -> Result<Option<T>, Refusal> {
        let error = match made.map_err(E::into) {
            Ok(made) => return Ok(Some(made)),
            Err(error) => error,
        };
        if self.named {
            return Err(Refusal::new(Step::Configure, format!("state_dir {}: {error}", folder.display()), error.cure()));
        }
        match error {
            // As for every user without a folder of that name.
            Unusable::System(error) => {
                tracing::debug!(folder = %folder.display(), %error, "nothing is kept: the default state folder cannot be used");
            }
            error => {
                let cure = error.cure();
                tracing::warn!(folder = %folder.display(), cure, "nothing is kept there: {error}");
            }
        }
        Ok(None)
    }
}

// === impl Unusable ===

impl Unusable {
    fn cure(&self) -> String {
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

/// Refuses a folder in which others could put something in the place of what this host writes, reads and removes. `found` is what is
/// known of it.
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
