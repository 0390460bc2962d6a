//! The folder of repros: its permissions, its limits, and the order of removal.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use host_api::{BoundTo, Repro, ReproSummary, Step};

use crate::config::{MAX_REPRO_BYTES, MAX_REPROS};
use crate::error::DaemonError;
use crate::state_dir::unusable::{Unusable, only_ours};

/// The repros of one state folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    max_count: usize,
    max_bytes: u64,
}

/// The files stored with a repro.
pub(super) struct Contents<'a> {
    /// The input of the call, as written to its file.
    pub(super) given: Vec<u8>,
    /// The component.
    pub(super) component: &'a [u8],
}

/// Maximum bytes read of a description; a schema of thousands of fields takes less.
const DESCRIPTION: u64 = 8 << 20;
/// Maximum bytes read of a run or a batch.
const GIVEN: u64 = 64 << 20;

const COMPONENTS: &str = "components";
/// Prefix of a folder that is being written; a leftover one is incomplete.
const UNFINISHED: &str = ".new-";

// === impl Store ===

impl Store {
    /// The repros in this state folder. Nothing is read or written yet.
    #[must_use]
    pub fn open(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("repro"), max_count: MAX_REPROS, max_bytes: MAX_REPRO_BYTES }
    }

    /// Sets the limits.
    pub(crate) fn with_room(self, max_count: usize, max_bytes: u64) -> Self {
        Self { max_count, max_bytes, ..self }
    }

    /// Creates the folder, readable by this user alone.
    pub(crate) fn make(&self) -> Result<(), Unusable> {
        for folder in [self.folder.clone(), self.folder.join(COMPONENTS)] {
            private(&folder)?;
            // An existing folder may be a link to one whose files this host must not remove.
            only_ours(&folder, &fs::symlink_metadata(&folder)?)?;
        }
        for left_over in names(&self.folder).into_iter().filter(|name| name.starts_with(UNFINISHED)) {
            fs::remove_dir_all(self.folder.join(left_over))?;
        }
        Ok(())
    }

    /// Returns all repros, newest first. Unreadable ones are left out.
    #[must_use]
    pub fn list(&self) -> Vec<ReproSummary> {
        let mut ids = self.ids();
        ids.reverse();
        ids.iter().filter_map(|id| self.find(id).ok()).map(|repro| repro.summary).collect()
    }

    /// Returns one repro.
    ///
    /// # Errors
    /// There is no repro with this id, or its description cannot be read.
    pub fn find(&self, id: &str) -> Result<Repro, DaemonError> {
        if !is_id(id) {
            return Err(none(id));
        }
        let folder = self.folder.join(id);
        if !folder.is_dir() {
            return Err(none(id));
        }
        read(&folder)
    }

    /// Stores a repro, and removes the oldest beyond the limits. Returns its id.
    pub(super) fn keep(&self, mut repro: Repro, contents: &Contents<'_>) -> io::Result<String> {
        let wanted: String = repro.summary.id.chars().filter(|&letter| is_letter(letter)).take(120).collect();
        self.sound()?;
        let unfinished = self.folder.join(format!("{UNFINISHED}{wanted}"));
        let _ = fs::remove_dir_all(&unfinished);
        private(&unfinished)?;
        write(&unfinished.join(given_file(&repro)), &contents.given)?;
        let component = self.component(&repro.summary.digest);
        if !component.exists() {
            let beside = component.with_extension("new");
            write(&beside, contents.component)?;
            fs::rename(&beside, &component)?;
        }
        let mut names = (1..).map(|count| if count == 1 { wanted.clone() } else { format!("{wanted}-{count}") });
        let id = names.find(|id| !self.folder.join(id).exists()).unwrap_or(wanted);
        repro.summary.id.clone_from(&id);
        repro.summary.folder = PathBuf::new();
        repro.summary.bytes = contents.given.len() as u64;
        let description = serde_json::to_vec_pretty(&repro)?;
        repro.summary.bytes += description.len() as u64;
        write(&unfinished.join("repro.json"), &serde_json::to_vec_pretty(&repro)?)?;
        fs::rename(&unfinished, self.folder.join(&id))?;
        self.prune()?;
        Ok(id)
    }

    /// Removes the oldest repros until the rest is within the limits, and components that no repro uses.
    fn prune(&self) -> io::Result<()> {
        self.sound()?;
        let mut ids = self.ids();
        loop {
            let used: Vec<String> = ids.iter().filter_map(|id| self.find(id).ok()).map(|repro| digits(&repro)).collect();
            let components = self.folder.join(COMPONENTS);
            for name in names(&components) {
                if !used.iter().any(|digits| name.starts_with(digits.as_str())) {
                    fs::remove_file(components.join(name))?;
                }
            }
            let bytes: u64 = ids.iter().map(|id| size(&self.folder.join(id))).sum::<u64>() + size(&components);
            if ids.is_empty() || (ids.len() <= self.max_count && bytes <= self.max_bytes) {
                return Ok(());
            }
            fs::remove_dir_all(self.folder.join(ids.remove(0)))?;
        }
    }

    /// Refuses a folder that has become a link, or writable by others, since its creation.
    fn sound(&self) -> io::Result<()> {
        let folders = [self.folder.clone(), self.folder.join(COMPONENTS)];
        folders.iter().try_for_each(|folder| only_ours(folder, &fs::symlink_metadata(folder)?).map_err(io::Error::other))
    }

    /// Returns the ids, oldest first.
    fn ids(&self) -> Vec<String> {
        names(&self.folder).into_iter().filter(|name| is_id(name) && name != COMPONENTS).collect()
    }

    fn component(&self, digest: &str) -> PathBuf {
        let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
        self.folder.join(COMPONENTS).join(format!("{digits}.wasm"))
    }
}

/// Reads the description in a folder.
///
/// # Errors
/// The description cannot be read.
pub(super) fn read(folder: &Path) -> Result<Repro, DaemonError> {
    let file = folder.join("repro.json");
    let failed = |reason: String| {
        DaemonError::new(
            Step::Repro,
            format!("{}: {reason}", file.display()),
            "give a folder that `host plugin repro list` shows",
        )
    };
    let bytes = bounded(&file, DESCRIPTION).map_err(|error| failed(error.to_string()))?;
    let mut repro: Repro = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    folder.clone_into(&mut repro.summary.folder);
    Ok(repro)
}

/// Returns the input of the call, and the path of the stored component.
pub(super) fn contents(repro: &Repro) -> io::Result<(Vec<u8>, PathBuf)> {
    let folder = &repro.summary.folder;
    let components = folder.parent().unwrap_or(Path::new(".")).join(COMPONENTS);
    let component = components.join(format!("{}.wasm", digits(repro)));
    Ok((bounded(&folder.join(given_file(repro)), GIVEN)?, component))
}

const fn given_file(repro: &Repro) -> &'static str {
    match repro.bound_to {
        BoundTo::Layout(_) => "run.bin",
        BoundTo::Schema(_) => "batch.arrow",
    }
}

/// The digest as a file name; the text of a description is not trusted.
fn digits(repro: &Repro) -> String {
    let digest = &repro.summary.digest;
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.chars().filter(char::is_ascii_hexdigit).take(64).collect()
}

fn none(id: &str) -> DaemonError {
    let shown = host_model::printable(id, 160);
    DaemonError::new(Step::Repro, format!("there is no repro `{shown}`"), "`host plugin repro list` shows those there are")
}

/// Whether it names a folder inside this one, and cannot lead out of it.
fn is_id(name: &str) -> bool {
    !name.starts_with('.') && !name.is_empty() && name.len() <= 160 && name.chars().all(is_letter)
}

const fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_')
}

fn private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a new file. A leftover one is replaced, and a link at its path is not followed.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(file);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(bytes)
}

fn bounded(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    host_kernel::file::read(file, most).map_err(io::Error::other)
}

/// Returns the names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Returns the total size of the files in a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::faults::repro::tests::repro;

    fn keep(store: &Store, unix_ms: u64, digit: &str) -> String {
        let mut repro = repro();
        repro.summary.id = format!("{unix_ms:013}-sampler-file-trap");
        repro.summary.unix_ms = unix_ms;
        repro.summary.digest = format!("sha256:{}", digit.repeat(64));
        store.keep(repro, &Contents { given: vec![0; 1000], component: &[7; 500] }).unwrap()
    }

    fn store(max_count: usize, max_bytes: u64) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).with_room(max_count, max_bytes);
        store.make().unwrap();
        (folder, store)
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many_and_its_component_with_it() {
        let (folder, store) = store(2, u64::MAX);
        let [_, b, c] = [keep(&store, 1, "a"), keep(&store, 2, "b"), keep(&store, 3, "b")];
        let listed: Vec<String> = store.list().into_iter().map(|summary| summary.id).collect();
        assert_eq!(listed, [c, b], "newest first");
        assert_eq!(names(&folder.path().join("repro/components")), [format!("{}.wasm", "b".repeat(64))]);
    }

    #[test]
    fn components_count_towards_the_bytes() {
        let (_folder, store) = store(100, 3 * 2_500);
        (1..=9).for_each(|time| drop(keep(&store, time, "a")));
        let (listed, bytes) = (store.list(), size(&store.folder.join(COMPONENTS)));
        assert!((2..9).contains(&listed.len()), "{}", listed.len());
        assert_eq!(listed[0].unix_ms, 9);
        assert!(listed.iter().map(|summary| size(&summary.folder)).sum::<u64>() + bytes <= 7_500);
    }

    #[test]
    fn two_of_the_same_moment_are_both_kept() {
        let (_folder, store) = store(9, u64::MAX);
        assert_ne!(keep(&store, 1, "a"), keep(&store, 1, "a"));
        assert_eq!(store.list().len(), 2);
    }

    #[test]
    fn nobody_else_can_read_what_programs_sent() {
        let (_folder, store) = store(9, u64::MAX);
        let id = keep(&store, 1, "a");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = store.folder.join(&id);
        assert_eq!((mode(&store.folder), mode(&folder)), (0o700, 0o700));
        for name in names(&folder) {
            assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
        }
        assert_eq!(mode(&store.component(&"a".repeat(64))), 0o600);
    }

    #[test]
    fn a_name_is_not_a_way_out_of_the_folder() {
        let (folder, store) = store(9, u64::MAX);
        fs::create_dir(folder.path().join("other")).unwrap();
        for id in ["../other", "..", ".", "", "/etc", "a/b", "\x1b[31m"] {
            let refusal = store.find(id).unwrap_err();
            assert!(
                refusal.to_string().starts_with("there is no repro") && !refusal.to_string().contains('\x1b'),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_is_not_followed() {
        let (others, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(others.path().join("precious"), "dear").unwrap();
        let link = |name: &str| std::os::unix::fs::symlink(others.path(), state.path().join(name)).unwrap();
        link("repro");
        let store = Store::open(state.path());
        assert!(matches!(store.make(), Err(Unusable::NotAFolder(_))));
        fs::remove_file(state.path().join("repro")).unwrap();
        private(&state.path().join("repro")).unwrap();
        link("repro/components");
        assert!(matches!(store.make(), Err(Unusable::NotAFolder(_))));
        assert!(store.prune().is_err(), "also where it comes while the host runs");
        assert_eq!(names(others.path()), ["precious"]);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let (_folder, store) = store(9, u64::MAX);
        for mode in [0o777, 0o720, 0o1777] {
            fs::set_permissions(store.folder.join(COMPONENTS), fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(store.make(), Err(Unusable::Open { .. })), "{mode:o}");
        }
    }

    #[test]
    fn what_was_not_finished_is_gone_after_a_restart() {
        let (_folder, store) = store(9, u64::MAX);
        private(&store.folder.join(".new-1")).unwrap();
        store.make().unwrap();
        assert_eq!(names(&store.folder), [COMPONENTS]);
        assert!(store.list().is_empty());
    }
}
