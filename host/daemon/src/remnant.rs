//! A file that this process created and removes at its end, unless another file has replaced it.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file, identified by path, device and inode.
#[derive(Debug, Clone)]
pub(crate) struct Remnant {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// While it is open, the inode number cannot be reused.
    _open: Option<Arc<File>>,
}

// === impl Remnant ===

impl Remnant {
    /// The file at this path now; the caller must keep it open.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path, &std::fs::symlink_metadata(path)?, None))
    }

    /// An open file.
    pub(crate) fn open(path: &Path, file: &File) -> io::Result<Self> {
        Ok(Self::of(path, &file.metadata()?, Some(Arc::new(file.try_clone()?))))
    }

    /// Whether the path still leads to this file.
    pub(crate) fn is_there(&self) -> bool {
        Self::at(&self.path).is_ok_and(|now| (now.device, now.inode) == (self.device, self.inode))
    }

    /// Removes the file. A file that has replaced it stays.
    pub(crate) fn remove(&self) {
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn of(path: &Path, metadata: &Metadata, open: Option<Arc<File>>) -> Self {
        Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino(), _open: open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_has_put_in_its_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        std::fs::write(&path, "ours").unwrap();
        let ours = Remnant::at(&path).unwrap();
        let theirs = folder.path().join("other");
        std::fs::write(&theirs, "theirs").unwrap();
        std::fs::rename(&theirs, &path).unwrap();
        ours.remove();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
        Remnant::at(&path).unwrap().remove();
        assert!(!path.exists());
    }
}
