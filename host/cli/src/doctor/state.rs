//! The state folder and its cache: whether they can be used, and whether another user could change them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use host_daemon::config::{Config, default_state_dir};
#[cfg(feature = "compiler")]
use host_plugin::Cache;
use rustix::fs::{Access, access};
use rustix::process::geteuid;

use super::{Finding, Verdict};

/// Checks the state folder of the flag, of the configuration, or the default one; and its cache.
pub(super) fn findings(flag: Option<PathBuf>, config: Option<&Config>) -> Vec<Finding> {
    let named = flag.or_else(|| config?.state_dir.clone());
    let must = named.is_some();
    let Some(folder) = named.or_else(default_state_dir) else {
        let finding = Finding::note(
            "state",
            "no folder: neither compiled code nor calls that failed are kept",
            "--state-dir FOLDER, or `state_dir` in the configuration",
        );
        return vec![finding];
    };
    let state = of_folder(&folder, must);
    let cache = folder.join("cache");
    // Another user than the host's cannot look into it.
    let look = state.verdict == Verdict::Ok && cache.is_dir();
    std::iter::once(state).chain(look.then(|| of_cache(&cache)).flatten()).collect()
}

#[cfg(feature = "compiler")]
fn of_cache(folder: &Path) -> Option<Finding> {
    Some(match Cache::open(folder, u64::MAX) {
        Ok(_) => Finding::ok("cache", folder.display().to_string()),
        Err(error) => Finding::fault("cache", error.to_string(), error.cure()),
    })
}

/// Without a compiler there is no cache.
#[cfg(not(feature = "compiler"))]
fn of_cache(_folder: &Path) -> Option<Finding> {
    None
}

/// A folder that the settings name must be usable; the default one is used if it can be.
fn of_folder(folder: &Path, must: bool) -> Finding {
    let place = folder.display();
    let Ok(metadata) = fs::metadata(folder) else {
        return missing(folder, must);
    };
    if !metadata.is_dir() {
        return Finding::fault("state", format!("{place} is no folder"), "remove it, or name another with --state-dir");
    }
    let (owner, us) = (metadata.uid(), geteuid().as_raw());
    if owner != us && us != 0 {
        return Finding::note(
            "state",
            format!("{place} belongs to user {owner}; as this user nothing is kept there"),
            "run the host as that user, or name a folder of your own with --state-dir",
        );
    }
    if owner != us {
        let problem = format!("{place} belongs to user {owner}, who could change compiled code");
        return Finding::fault("state", problem, format!("chown root {place}"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Finding::fault(
            "state",
            format!("{place} can be written by others: what is in it may be anybody's code"),
            format!("chmod go-w {place}"),
        );
    }
    if access(folder, Access::WRITE_OK).is_err() {
        return Finding::fault(
            "state",
            format!("{place} cannot be written"),
            format!("chmod u+w {place}, or mount it writable"),
        );
    }
    Finding::ok("state", place.to_string())
}

/// A missing folder is created at the start, if its nearest existing parent is writable.
fn missing(folder: &Path, must: bool) -> Finding {
    let place = folder.display();
    let above = folder.ancestors().skip(1).find(|above| above.exists());
    if above.is_some_and(|above| access(above, Access::WRITE_OK).is_ok()) {
        return Finding::ok("state", format!("{place}, which `host run` makes"));
    }
    let cure = "make it for this user, or name another with --state-dir";
    if must {
        return Finding::fault("state", format!("{place} is not there and cannot be made: `host run` will not start"), cure);
    }
    Finding::note("state", format!("{place} is not there and cannot be made: nothing is kept"), cure)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(folder: &Path, mode: u32) {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_write_is_a_fault_with_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        mode(folder.path(), 0o700);
        assert_eq!(of_folder(folder.path(), true).verdict, Verdict::Ok);
        mode(folder.path(), 0o770);
        let finding = of_folder(folder.path(), true);
        assert_eq!((finding.verdict, finding.cure), (Verdict::Fault, Some(format!("chmod go-w {}", folder.path().display()))));
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_made_where_that_is_possible() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_folder(&folder.path().join("a/b"), true).verdict, Verdict::Ok);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(of_folder(&file, true).verdict, Verdict::Fault);
    }

    #[test]
    fn a_cache_that_others_can_reach_is_a_fault_with_its_cure() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        Cache::open(&cache, u64::MAX).unwrap();
        let verdicts = || findings(Some(folder.path().to_owned()), None).iter().map(|found| found.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(), [Verdict::Ok, Verdict::Ok]);
        mode(&cache, 0o777);
        assert_eq!(verdicts(), [Verdict::Ok, Verdict::Fault]);
        assert!(of_cache(&cache).unwrap().cure.unwrap().contains("chmod"));
    }

    #[test]
    fn a_flag_goes_before_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { state_dir: Some("/dev/null".into()), ..Config::default() };
        assert_eq!(findings(Some(folder.path().to_owned()), Some(&config))[0].verdict, Verdict::Ok);
        assert_eq!(findings(None, Some(&config))[0].verdict, Verdict::Fault);
    }
}
