//! The state folder: data kept between two runs. A folder that the settings name must be usable; the default one is used if it can be.
//! Others must not be able to write there: a link of theirs could redirect what is written and removed.

pub(crate) mod unusable;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::default_state_dir;
use crate::error::DaemonError;
use crate::settings::Settings;
use unusable::{Unusable, only_ours};

/// The state folder of one run; None if there is none.
pub(crate) struct StateDir {
    folder: Option<PathBuf>,
    /// Whether the settings name it.
    named: bool,
}

// === impl StateDir ===

impl StateDir {
    /// Opens the folder that the settings name, otherwise the default one.
    pub(crate) fn open(settings: &Settings) -> Result<Self, DaemonError> {
        let named = settings.state_dir.as_ref().or(settings.config.state_dir.as_ref());
        let folder = named.cloned().or_else(default_state_dir);
        let mut state_dir = Self { folder, named: named.is_some() };
        if let Some(folder) = state_dir.folder.clone() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(Unusable::from);
            // The operator may have moved it to another disk by a link; the target of the link counts.
            let sound = made.and_then(|()| only_ours(&folder, &std::fs::metadata(&folder)?));
            if state_dir.usable(&folder, sound)?.is_none() {
                state_dir.folder = None;
            }
        }
        Ok(state_dir)
    }

    /// The same without creating it: an existing folder must be usable, and serves for compiled code if this user has access.
    pub(crate) fn examine(settings: &Settings) -> Result<Self, DaemonError> {
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

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Returns the resource, or None if a default state folder is unusable.
    pub(crate) fn usable<T, E: Into<Unusable>>(&self, folder: &Path, made: Result<T, E>) -> Result<Option<T>, DaemonError> {
        let error = match made.map_err(E::into) {
            Ok(made) => return Ok(Some(made)),
            Err(error) => error,
        };
        if self.named {
            return Err(DaemonError::StateDir { folder: folder.to_owned(), error });
        }
        match error {
            // Only a debug line, as for a user who has no default folder.
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
