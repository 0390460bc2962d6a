//! A mistake of an operator is reported with its place and its cure, before anything is changed.

use std::fs;

use host_tests::daemon::{host, stderr};

/// Runs `host run` with a configuration that must be refused; returns its message.
fn refusal_of(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.toml");
    fs::write(&file, text).unwrap();
    let socket = folder.path().join("socket");
    let arguments = ["run", "--config", file.to_str().unwrap(), "--duration", "1s", "--socket", socket.to_str().unwrap()];
    let output = host(&arguments);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "talk is not data");
    stderr(&output)
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_key() {
    let said = refusal_of("[batch]\nrows = 512\n\n[exprot]\nendpoint = \"http://localhost:4317\"\n");
    assert!(said.contains("host.toml:4") && said.contains("exprot") && said.contains("`export`"), "{said}");
}

#[test]
fn a_value_of_the_wrong_kind_is_told_with_its_line() {
    let said = refusal_of("[batch]\nrows = \"many\"\n");
    assert!(said.contains("host.toml:2") && said.contains("batch.rows"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_told_by_name() {
    let output = host(&["run", "--config", "nowhere.toml", "--duration", "1s"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("nowhere.toml"), "{}", stderr(&output));
}

#[test]
fn the_schema_of_the_configuration_is_json_and_knows_its_sections() {
    let output = host(&["config", "schema"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for section in ["probes", "plugins", "export", "batch"] {
        assert!(schema["properties"].get(section).is_some(), "{section} is missing");
    }
}

#[test]
fn asking_where_no_host_runs_ends_with_4_and_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let output = host(&["status", "--socket", socket.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("host run"), "{}", stderr(&output));
}

#[test]
fn completions_and_manual_pages_come_from_the_same_tree() {
    for shell in ["bash", "zsh", "fish"] {
        let output = host(&["completions", shell]);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("rollback"), "{shell}");
    }
    let page = host(&["man", "plugin", "load"]);
    assert!(page.status.success() && String::from_utf8_lossy(&page.stdout).contains(".TH"), "{}", stderr(&page));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let binary = host_tests::daemon::host_binary();
    let status = std::process::Command::new("bash")
        .args(["-c", "set -o pipefail; \"$0\" config schema | head -c 1 >/dev/null", binary.to_str().unwrap()])
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}
