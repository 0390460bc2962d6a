//! The cache of compiled code: which code is reused, and which is compiled anew.

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use host_plugin::{Cache, CacheUse, Component, Setup, Step, precompile};
use tempfile::TempDir;

use crate::imports::Lines;
use crate::{ENGINE, batch, build, schema};

/// Size of a cache that no test fills.
const MAX: u64 = 64 << 20;

/// Number of bytes before the machine code of an entry.
const HEAD: usize = 16 + 32 + 32;

#[cfg(target_arch = "x86_64")]
const HERE: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
const HERE: &str = "aarch64-unknown-linux-gnu";

fn folder() -> TempDir {
    tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap()
}

fn cache(folder: &TempDir) -> Cache {
    Cache::open(folder.path(), MAX).unwrap()
}

/// Loads, calls once, and returns how the cache was used.
fn load(bytes: &[u8], cache: &Cache) -> CacheUse {
    let (component, done) = Component::compile_cached(&ENGINE, bytes, "file", cache).unwrap();
    let mut sampler = component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default()).unwrap();
    assert_eq!(sampler.decide(&batch(3)).unwrap().thresholds.len(), 3);
    done
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut entries: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "code")).collect();
    entries.sort();
    entries
}

/// The same plugin with another digest.
fn variant(number: u8) -> Vec<u8> {
    // A custom section of one byte.
    [build::faulty(), &[0, 3, 1, b'n', number]].concat()
}

#[test]
fn what_was_compiled_once_is_not_compiled_again() {
    let folder = folder();
    assert_eq!(load(build::faulty(), &cache(&folder)), CacheUse::Miss);
    assert_eq!(load(build::faulty(), &cache(&folder)), CacheUse::Hit);
    assert_eq!(load(&variant(1), &cache(&folder)), CacheUse::Miss);
    assert_eq!(entries(folder.path()).len(), 2);
}

#[test]
fn an_entry_that_is_damaged_cut_or_anothers_is_compiled_anew_and_said_so() {
    let folder = folder();
    let cache = cache(&folder);
    load(build::faulty(), &cache);
    let entry = entries(folder.path()).remove(0);
    let good = std::fs::read(&entry).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let other = {
        load(&variant(1), &cache);
        std::fs::read(entries(folder.path()).into_iter().find(|path| *path != entry).unwrap()).unwrap()
    };
    for bad in [flipped, good[..good.len() / 2].to_vec(), Vec::new(), b"\x7fELF".to_vec(), other] {
        std::fs::write(&entry, bad).unwrap();
        let mut done = CacheUse::Miss;
        let text = Lines::of(|| done = load(build::faulty(), &cache));
        assert_eq!(done, CacheUse::Repaired);
        assert!(text.contains("WARN") && text.contains("compiled anew") && text.contains("faulty"), "{text}");
        assert_eq!(load(build::faulty(), &cache), CacheUse::Hit);
    }
}

#[test]
fn an_entry_that_is_a_link_is_not_followed() {
    let folder = folder();
    let cache = cache(&folder);
    load(build::faulty(), &cache);
    let entry = entries(folder.path()).remove(0);
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&entry, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &entry).unwrap();
    assert_eq!(load(build::faulty(), &cache), CacheUse::Repaired);
}

#[test]
fn code_sealed_with_another_key_is_not_run() {
    let folder = folder();
    load(build::faulty(), &cache(&folder));
    std::fs::remove_file(folder.path().join("key")).unwrap();
    assert_eq!(load(build::faulty(), &cache(&folder)), CacheUse::Repaired);
}

#[test]
fn a_folder_or_a_key_that_others_can_reach_is_refused_with_the_cure() {
    let folder = folder();
    drop(cache(&folder));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let key = folder.path().join("key");
    assert_eq!((mode(folder.path()), mode(&key)), (0o700, 0o600));
    for (path, open, closed) in [(folder.path(), 0o750, 0o700), (folder.path(), 0o707, 0o700), (key.as_path(), 0o640, 0o600)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(open)).unwrap();
        let error = Cache::open(folder.path(), MAX).unwrap_err();
        assert!(error.to_string().contains(&format!("{open:o}")), "{error}");
        assert!(error.cure().contains(&format!("chmod {closed:o} {}", path.display())), "{}", error.cure());
        std::fs::set_permissions(path, PermissionsExt::from_mode(closed)).unwrap();
    }
    drop(cache(&folder));
}

#[test]
fn a_key_of_another_length_is_refused_with_the_cure() {
    let folder = folder();
    drop(cache(&folder));
    std::fs::write(folder.path().join("key"), b"short").unwrap();
    let error = Cache::open(folder.path(), MAX).unwrap_err();
    assert!(error.to_string().contains("5 bytes"), "{error}");
    assert!(error.cure().contains("remove"), "{}", error.cure());
}

#[test]
fn a_folder_that_is_a_link_is_refused() {
    let folder = folder();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    assert!(Cache::open(&link, MAX).is_err());
}

#[test]
fn a_folder_of_another_user_is_refused_needs_root() {
    let folder = folder();
    if std::os::unix::fs::chown(folder.path(), Some(65_534), None).is_err() {
        let name = "a_folder_of_another_user_is_refused_needs_root";
        writeln!(std::io::stderr(), "SKIPPED {name}: only root can give a folder away").unwrap();
        return;
    }
    let error = Cache::open(folder.path(), MAX).unwrap_err();
    assert!(error.to_string().contains("belongs to user 65534"), "{error}");
    assert!(error.cure().contains("chown"), "{}", error.cure());
}

#[test]
fn many_that_open_a_new_folder_at_once_agree_on_one_key() {
    let outer = folder();
    let path = outer.path().join("of/its/own");
    let caches: Vec<Cache> = std::thread::scope(|scope| {
        let open: Vec<_> = (0..16).map(|_| scope.spawn(|| Cache::open(&path, MAX).unwrap())).collect();
        open.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    load(build::faulty(), &caches[0]);
    let done: Vec<CacheUse> = caches.iter().map(|cache| load(build::faulty(), cache)).collect();
    assert_eq!(done, [CacheUse::Hit; 16]);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "a key and an entry");
}

#[test]
fn the_entry_that_was_not_used_for_the_longest_time_goes_first() {
    let folder = folder();
    load(&variant(0), &cache(&folder));
    let size = std::fs::metadata(&entries(folder.path())[0]).unwrap().len();
    let three = Cache::open(folder.path(), 3 * size + size / 2).unwrap();
    let age = |minutes: u64, kept: &HashSet<PathBuf>| {
        for entry in entries(folder.path()).into_iter().filter(|entry| !kept.contains(entry)) {
            let then = std::time::SystemTime::now() - std::time::Duration::from_secs(60 * minutes);
            std::fs::File::open(entry).unwrap().set_modified(then).unwrap();
        }
        entries(folder.path()).into_iter().collect::<HashSet<_>>()
    };
    let kept = age(30, &HashSet::new());
    load(&variant(1), &three);
    let kept = age(20, &kept);
    load(&variant(2), &three);
    age(10, &kept);
    // The oldest entry is used, so that the second is evicted.
    assert_eq!(load(&variant(0), &three), CacheUse::Hit);
    load(&variant(3), &three);
    assert_eq!(entries(folder.path()).len(), 3);
    assert_eq!(load(&variant(0), &three), CacheUse::Hit);
    assert_eq!(load(&variant(2), &three), CacheUse::Hit);
    assert_eq!(load(&variant(1), &three), CacheUse::Miss);
}

#[test]
fn code_that_is_larger_than_the_cache_is_run_and_not_kept() {
    let folder = folder();
    let small = Cache::open(folder.path(), 1_000).unwrap();
    let text = Lines::of(|| assert_eq!(load(build::faulty(), &small), CacheUse::Miss));
    assert!(text.contains("larger than the whole cache"), "{text}");
    assert_eq!(entries(folder.path()).len(), 0);
    let error = precompile(build::faulty(), "file", HERE, &small).unwrap_err();
    assert!(error.problem.contains("larger than the whole cache"), "{error}");
}

#[test]
fn code_for_another_machine_is_of_its_architecture() {
    let folder = folder();
    for (target, machine) in [("aarch64-unknown-linux-gnu", 183_u16), ("x86_64-unknown-linux-gnu", 62)] {
        let made = precompile(build::faulty(), "file", target, &cache(&folder)).unwrap();
        let file = std::fs::read(&made.path).unwrap();
        let code = &file[HEAD..];
        assert!(code.starts_with(b"\x7fELF"));
        // The member `e_machine` of the ELF header.
        assert_eq!(u16::from_le_bytes([code[18], code[19]]), machine, "{target}");
        assert_eq!(made.bytes as usize, file.len() - HEAD - 32);
    }
}

#[test]
fn code_made_elsewhere_for_this_machine_is_found_and_run() {
    let (there, here) = (folder(), folder());
    let made = precompile(build::faulty(), "file", HERE, &cache(&there)).unwrap();
    for name in [made.path.file_name().unwrap(), "key".as_ref()] {
        std::fs::copy(there.path().join(name), here.path().join(name)).unwrap();
    }
    assert_eq!(load(build::faulty(), &cache(&here)), CacheUse::Hit);
}

#[test]
fn an_unknown_target_and_what_is_no_plugin_are_refused() {
    let folder = folder();
    let error = precompile(build::faulty(), "file", "riscv64-unknown-linux-gnu", &cache(&folder)).unwrap_err();
    assert_eq!(error.step, Step::Compile);
    assert!(error.cure.contains("aarch64-unknown-linux-gnu") && error.cure.contains(HERE), "{error:?}");
    assert_eq!(precompile(b"hello", "file", HERE, &cache(&folder)).unwrap_err().step, Step::Inspect);
}
