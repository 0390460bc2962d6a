//! An object of the operator's own, loaded while the host runs and read without writing a decoder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host_tests::daemon::{Host, stderr};
use host_tests::repository;
use host_tests::turn::turn_as_root;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_probe_of_the_users_own_is_loaded_read_and_unloaded_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (object, name) = example(folder.path());
    let mut host = Host::run(&["--probe", "exec", "--output", "jsonl"]);
    let loaded = host.ask(&["probe", "load", object.to_str().unwrap()]);
    assert!(loaded.status.success(), "{}", stderr(&loaded));

    let status = host.status_when("events of the user's probe", SOON, |status| {
        // Programs that run and files that are read trigger any of the examples.
        let _ = Command::new("cat").arg("/proc/self/status").output();
        status.paths.iter().any(|path| path.probe == name && path.ledger.kept > 0)
    });
    assert_eq!(status.ledger(&name).undecodable, 0);
    assert!(status.plugin(&name, &format!("decoder.{name}")).name.contains("btf"));
    let listed = host.ask(&["probe", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&name));

    let unloaded = host.ask(&["probe", "unload", &name]);
    assert!(unloaded.status.success(), "{}", stderr(&unloaded));
    assert!(host.status().paths.iter().all(|path| path.probe != name));
    let (_, said) = host.stop();
    assert!(!said.contains("UNBALANCED"), "{said}");
}

#[test]
fn what_is_no_bpf_object_is_refused_and_the_rest_goes_on_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("mine.bpf.o");
    std::fs::write(&object, b"not an object").unwrap();
    let mut host = Host::run(&["--probe", "exec", "--output", "none"]);
    let loaded = host.ask(&["probe", "load", object.to_str().unwrap()]);
    assert_eq!(loaded.status.code(), Some(3), "{}", stderr(&loaded));
    assert!(stderr(&loaded).contains("mine"), "{}", stderr(&loaded));
    assert!(host.status().balanced);
    host.stop();
}

#[test]
fn a_probe_that_was_asked_for_by_name_and_does_not_exist_is_an_error() {
    let output = host_tests::daemon::host(&["run", "--probe", "nonsense", "--duration", "1s"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("nonsense"), "{}", stderr(&output));
}

/// Compiles the example of a probe; returns the object and its name in the host.
fn example(folder: &Path) -> (PathBuf, String) {
    let sources = std::fs::read_dir(repository().join("examples/custom-probe")).unwrap();
    let is_source = |path: &PathBuf| path.to_string_lossy().ends_with(".bpf.c");
    let source = sources.map(|entry| entry.unwrap().path()).find(is_source).expect("the example has a source");
    let name = source.file_name().unwrap().to_string_lossy().trim_end_matches(".bpf.c").to_owned();
    let object = folder.join(format!("{name}.bpf.o"));
    let mut clang = Command::new("clang");
    clang.args(["-O2", "-g", "-target", "bpf"]).arg(format!("-D__TARGET_ARCH_{}", target()));
    clang.arg("-I").arg(repository().join("bpf/include")).arg("-c").arg(&source).arg("-o").arg(&object);
    assert!(clang.status().unwrap().success());
    (object, name)
}

fn target() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86" }
}
