//! The state folder: what is kept between two runs. A folder that was named must be usable; one that nobody named is used if it
//! can be.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::default_state_dir;
use crate::control::message::Refusal;
use crate::repro::keeper::{Keeper, Known};
use crate::repro::{MAX_BYTES, MAX_COUNT, Shelf};
use crate::settings::Settings;

/// The folder of one run; None if there is none to be had.
pub(crate) struct Kept {
    folder: Option<PathBuf>,
    /// Somebody said that it must be this one.
    named: bool,
}

// === impl Kept ===

impl Kept {
    /// The folder that the settings name, else the default one.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Refusal> {
        let named = settings.state_dir.as_ref().or(settings.config.state_dir.as_ref());
        let folder = named.cloned().or_else(default_state_dir);
        let mut kept = Self { folder, named: named.is_some() };
        if let Some(folder) = kept.folder.clone() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            if kept.usable(&folder, made)?.is_none() {
                kept.folder = None;
            }
        }
        Ok(kept)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Keeps calls that failed, if they are to be kept.
    pub(crate) fn keeper(&self, settings: &Settings, known: &Arc<Known>) -> Result<Option<Arc<Keeper>>, Refusal> {
        let config = settings.config.repro;
        let Some(folder) = self.folder.as_deref().filter(|_| config.enabled != Some(false)) else { return Ok(None) };
        let count = config.max_count.map_or(MAX_COUNT, |count| usize::try_from(count).unwrap_or(usize::MAX));
        let shelf = Shelf::open(folder).with_room(count, config.max_bytes.map_or(MAX_BYTES, |size| size.0));
        let keeper = shelf.make().and_then(|()| Keeper::start(shelf, Arc::clone(known)));
        Ok(self.usable(folder, keeper)?.map(Arc::new))
    }

    /// What could be made; for a folder that nobody named, None if it could not.
    pub(crate) fn usable<T, E: std::fmt::Display>(&self, folder: &Path, made: Result<T, E>) -> Result<Option<T>, Refusal> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(error) if self.named => {
                let message = format!("state_dir {}: {error}", folder.display());
                Err(Refusal::new("configure", message, "name a folder that this user may write to"))
            }
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "nothing is kept: the default state folder cannot be used");
                Ok(None)
            }
        }
    }
}
