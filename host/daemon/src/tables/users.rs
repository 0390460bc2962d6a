//! Names of users, from /etc/passwd.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use host_kernel::regular;
use host_model::Lock;

/// Names by uid, read again when the file has changed. Users that only a directory service has get no name: a query would wait for a
/// network.
#[derive(Debug, Default)]
pub(super) struct Users {
    known: Lock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    checked: Option<Instant>,
    changed: Option<SystemTime>,
    names: HashMap<u32, String>,
}

/// Minimum interval between two checks of the file.
const CHECK: Duration = Duration::from_secs(1);
/// Maximum size of the file: some sites have 100,000 users.
const MAX_FILE: u64 = 16 << 20;

// === impl Users ===

impl Users {
    /// Returns the name of a user.
    pub(super) fn name(&self, uid: u32) -> Option<String> {
        let mut known = self.known.lock();
        if known.checked.is_none_or(|checked| checked.elapsed() >= CHECK) {
            known.refresh(Path::new("/etc/passwd"));
        }
        known.names.get(&uid).cloned()
    }
}

// === impl Known ===

impl Known {
    fn refresh(&mut self, file: &Path) {
        self.checked = Some(Instant::now());
        let Ok(metadata) = std::fs::metadata(file) else { return };
        let changed = metadata.modified().ok();
        if changed == self.changed || metadata.len() > MAX_FILE {
            return;
        }
        if let Ok(text) = regular::read(file, MAX_FILE) {
            self.names = parse(&String::from_utf8_lossy(&text));
            self.changed = changed;
        }
    }
}

/// Parses the file. The first name of a uid counts.
fn parse(passwd: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
            names.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        let mut known = Known::default();
        std::fs::write(&file, "root:x:0:0::/root:/bin/sh\n# no line\n").unwrap();
        known.refresh(&file);
        assert_eq!(known.names.get(&0).map(String::as_str), Some("root"));
        std::fs::write(&file, "toor:x:0:0::/root:/bin/sh\n").unwrap();
        std::fs::File::open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        known.refresh(&file);
        assert_eq!(known.names.get(&0).map(String::as_str), Some("toor"));
    }
}
