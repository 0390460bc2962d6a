//! The exit code of a replay reports whether its plugins worked.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use host_tests::daemon::{host_binary, stderr};
use host_tests::guests::conformance;
use host_tests::repository;
use host_tests::turn::turn;

/// Plays the embedded capture, with this plugin if there is one: `slot=component`.
fn replay(folder: &Path, plugin: Option<&str>) -> Output {
    let mut command = Command::new(host_binary());
    command.arg("replay").arg(repository().join("host/daemon/captures/default.capture"));
    command.args(["--output", "none", "--state-dir"]).arg(folder);
    if let Some(plugin) = plugin {
        command.args(["--plugin", plugin]);
    }
    command.output().unwrap()
}

#[test]
fn a_replay_in_which_a_plugin_failed_ends_with_1() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let output = replay(folder.path(), None);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let failing = folder.path().join("failing.wasm");
    fs::write(&failing, conformance::bytes("panics_with_a_message")).unwrap();
    let output = replay(folder.path(), Some(&format!("sampler={}", failing.display())));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("sampler"), "it says which plugin failed: {}", stderr(&output));
}

#[test]
fn a_replay_with_a_plugin_that_nothing_in_the_capture_goes_to_ends_with_2() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    for plugin in ["decoder.exek=decoder-exec", "sampler.http=sampler-ratio"] {
        let output = replay(folder.path(), Some(plugin));
        assert_eq!(output.status.code(), Some(2), "{plugin}: {}", stderr(&output));
        assert!(stderr(&output).contains("its paths are exec, file, tcp"), "it says what there is: {}", stderr(&output));
    }
}
