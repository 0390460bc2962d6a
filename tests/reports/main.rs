//! Situations that broke this program, or a similar one: a folder each, with the input, the truth, and where it was first reported.
//!
//! [README.md](README.md) describes how to add one.

mod component_that_takes_a_compiler_minutes;
mod answer_read_by_splice;
mod trace_behind_large_head;
mod copy_by_extended_protocol;
mod corrupt_bpf_object;
mod load_data_local;
mod nested_write_in_handshake;
mod streams_longer_than_the_timeout;
mod pipe_as_a_plugin;
mod tls_after_connect;
mod web_page_as_answer;
mod upgrade_that_fails;
mod postgresql_over_tls_for_long;
mod upgrade_to_http2;
mod connect_and_other_targets;
mod downloads_by_sendfile;
mod expect_with_a_final_answer;
mod scanner_of_absent_paths;

use std::path::PathBuf;
use std::process::Command;

use host_tests::daemon::Host;
use host_tests::{repository, target_folder};

/// Starts a host that sees the requests of this machine, and sends its rows nowhere.
fn host() -> Host {
    Host::run(&["--probe", "l7", "--output", "none"])
}

/// Starts a host that sees the requests of this machine, and writes a line of JSON for each.
fn host_with_rows() -> Host {
    Host::run(&["--probe", "l7", "--output", "jsonl"])
}

/// Returns the lines that a host has written, once `condition` holds for them.
///
/// # Panics
/// `condition` does not hold within half a minute.
fn rows_when(host: &Host, what: &str, condition: impl Fn(&[serde_json::Value]) -> bool) -> Vec<serde_json::Value> {
    host_tests::wait_for(what, std::time::Duration::from_secs(30), || {
        let rows: Vec<serde_json::Value> = host.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        condition(&rows).then_some(rows)
    })
}

/// Returns a file of a report.
fn file(report: &str, name: &str) -> PathBuf {
    repository().join("tests/reports").join(report).join(name)
}

/// Returns a command that runs a Python script of a report, with the clients that `.ci/setup test` installs; None without them.
fn python(report: &str, script: &str) -> Option<Command> {
    let python = Some(target_folder().join("clients/bin/python")).filter(|python| python.is_file());
    if python.is_none() {
        host_tests::turn::skip("the clients of Python could not be installed");
    }
    let mut command = Command::new(python?);
    command.arg(file(report, script));
    Some(command)
}

/// Runs a command to its end; returns its standard output.
///
/// # Panics
/// The command fails.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}
