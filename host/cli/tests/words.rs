//! The text of the binary, word by word: help, errors, tables. Expected texts are in `expected/`; with `HOST_EXPECT=write` they are written
//! anew, so that a person can read the difference.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test stops at the first wrong answer")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn host(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    for name in ["HOST_SOCKET", "HOST_CONFIG", "OTEL_EXPORTER_OTLP_ENDPOINT", "RUST_LOG", "COLUMNS"] {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn expect(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expected").join(name);
    if std::env::var_os("HOST_EXPECT").is_some_and(|value| value == "write") {
        fs::write(&file, actual).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(actual == expected, "{name} differs.\n--- expected\n{expected}\n--- actual\n{actual}");
}

/// Writes a file in a folder that is removed with the test.
fn file(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn help_teaches() {
    for (name, arguments) in [
        ("help-short.txt", &["-h"][..]),
        ("help.txt", &["--help"]),
        ("help-run.txt", &["run", "--help"]),
        ("help-status.txt", &["status", "--help"]),
        ("help-requests.txt", &["requests", "--help"]),
        ("help-record.txt", &["record", "--help"]),
        ("help-replay.txt", &["replay", "--help"]),
        ("help-plugin.txt", &["plugin", "--help"]),
        ("help-plugin-load.txt", &["plugin", "load", "--help"]),
        ("help-plugin-shadow.txt", &["plugin", "shadow", "--help"]),
        ("help-plugin-repro.txt", &["plugin", "repro", "--help"]),
        ("help-plugin-keygen.txt", &["plugin", "keygen", "--help"]),
        ("help-probe.txt", &["probe", "--help"]),
        ("help-doctor.txt", &["doctor", "--help"]),
    ] {
        let output = host(arguments);
        assert!(output.status.success());
        expect(name, &stdout(&output));
    }
}

#[test]
fn an_unknown_flag_is_a_usage_error_that_names_the_nearest() {
    let output = host(&["run", "--prob", "file"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("'--probe'"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_value_that_cannot_be_is_refused_with_what_could() {
    for (arguments, cure) in [
        (&["run", "--duration", "10 x"][..], "500ms, 10s, 2m or 1h30m"),
        (&["run", "--comm", "a-name-of-sixteen"], "15 bytes"),
        (&["run", "--pid", "0"], "the number of a process"),
        (&["run", "--output", "xml"], "jsonl, console, none"),
        (&["replay", "x", "--plugin", "decoder.http"], "SLOT=FILE"),
        (&["replay", "x", "--plugin", "tables=x"], "decoder."),
        (&["plugin", "load", "x", "--pin=ab"], "sha256: and 64 hexadecimal digits"),
        (&["plugin", "shadow", "x", "--share=0"], "above 0% up to 100%"),
        (&["plugin", "shadow", "x", "--promote-if=costs < 1", "--after=1s"], "column 1"),
        (&["plugin", "shadow", "x", "--after=10m"], "--promote-if <CONDITION>"),
    ] {
        let output = host(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(cure), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_bad_configuration_is_told_with_file_line_and_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(&folder, "host.toml", b"[probes.file]\nenabeld = true\n");
    let config = config.to_str().unwrap();
    for arguments in [&["config", "check", config][..], &["run", "--config", config]] {
        let output = host(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let expected = format!(
            "error: {config}:2:1: unknown key `probes.file.enabeld`; did you mean `enabled`?\n\
             hint: `host config schema` prints all that a configuration may say\n"
        );
        assert_eq!(stderr(&output), expected);
    }
}

#[test]
fn a_sound_configuration_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(&folder, "host.toml", b"[probes.file]\nenabled = true\n");
    let output = host(&["config", "check", config.to_str().unwrap()]);
    assert!(output.status.success());
    assert!(stdout(&output).ends_with("host.toml is sound\n"));
}

#[test]
fn a_capture_is_replayed_without_privilege_and_says_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/captures/default.capture");
    let state = folder.path().join("state");
    let line = ["replay", capture.to_str().unwrap(), "--output", "jsonl", "--plugin", "sampler=sampler-ratio", "--state-dir"];
    let replay = || host(&[&line[..], &[state.to_str().unwrap()]].concat());
    let (first, again) = (replay(), replay());
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(stdout(&first).lines().count() > 100 && first.stdout == again.stdout);
    assert!(stderr(&first).contains("REPLAY") && stderr(&first).contains("produced"), "{}", stderr(&first));
    let none = host(&["replay", "no-such.capture"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("host record"), "{}", stderr(&none));
}

#[test]
fn the_schema_of_the_configuration_is_json() {
    let output = host(&["config", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["probes"].is_object());
}

#[test]
fn without_a_running_host_the_exit_code_is_4_and_the_cure_is_said() {
    for arguments in [
        &["status"][..],
        &["plugin", "list"],
        &["plugin", "load", "sampler-ratio"],
        &["plugin", "unload", "sampler"],
        &["plugin", "rollback", "sampler"],
        &["plugin", "history"],
        &["plugin", "inspect", "sampler"],
        &["plugin", "shadow", "sampler-ratio"],
        &["plugin", "compare"],
        &["plugin", "promote"],
        &["plugin", "discard", "sampler"],
        &["probe", "list"],
        &["probe", "unload", "mine"],
    ] {
        let output = host(&[arguments, &["--socket", "/nonexistent/host.sock"]].concat());
        assert_eq!(output.status.code(), Some(4), "{arguments:?}");
        assert!(output.stdout.is_empty());
        expect("error-no-daemon.txt", &stderr(&output));
    }
}

#[test]
fn a_slot_that_cannot_be_is_a_usage_error() {
    let output = host(&["plugin", "unload", "samplr"]);
    assert_eq!(output.status.code(), Some(2));
    expect("error-no-slot.txt", &stderr(&output));
}

#[test]
fn nothing_is_coloured_where_nobody_sees_it() {
    for arguments in [&["doctor"][..], &["status", "--socket", "/nonexistent/host.sock"], &["--help"]] {
        let output = host(arguments);
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_success() {
    for arguments in ["config schema", "completions bash", "man", "--help"] {
        let line = format!("'{}' {arguments} | true; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_host"));
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{arguments}");
    }
}

#[test]
fn the_doctor_says_the_same_in_words_and_in_json() {
    let output = host(&["doctor", "--format", "json", "--socket", "/nonexistent/host.sock"]);
    let diagnosis: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let healthy = diagnosis["healthy"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!healthy)));
    let table = stdout(&host(&["doctor", "--socket", "/nonexistent/host.sock"]));
    for finding in diagnosis["findings"].as_array().unwrap() {
        assert!(table.contains(finding["check"].as_str().unwrap()), "{finding}");
        assert!(finding["verdict"] == "ok" || finding["cure"].is_string(), "{finding}");
    }
}

#[test]
fn the_doctor_finds_a_collector_that_does_not_listen() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = host(&["doctor", "--otlp-endpoint", &endpoint]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("FAULT  collector"), "{}", stdout(&output));
}

#[test]
fn a_component_is_signed_verified_and_told_with_its_signer() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, signed) = (path("acme.key"), path("signed.wasm"));
    let output = host(&["plugin", "keygen", &key]);
    assert!(output.status.success(), "{}", stderr(&output));
    let public = stdout(&output).trim().to_owned();
    assert!(stderr(&output).contains(&format!("acme = \"{public}\"")), "{}", stderr(&output));
    assert_eq!(host(&["plugin", "keygen", &key]).status.code(), Some(1), "a key is never written over");

    let output = host(&["plugin", "sign", "sampler-ratio", "--key", &key, "-o", &signed]);
    assert!(stdout(&output).starts_with(&format!("{signed} is signed by {public}\nsha256:")), "{}", stderr(&output));
    assert!(host(&["plugin", "verify", &signed, "--signer", &public]).status.success());
    let card = host(&["plugin", "inspect", &signed, "--format", "json"]);
    let card: serde_json::Value = serde_json::from_slice(&card.stdout).unwrap();
    assert_eq!((&card["signer"], &card["limits"]["host_calls"]), (&public.into(), &10_000.into()));

    let output = host(&["plugin", "verify", "sampler-ratio"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(stderr(&output), "error: nobody has signed sampler-ratio\nhint: `host plugin sign` signs it\n");
    let mut bytes = fs::read(&signed).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&signed, bytes).unwrap();
    let output = host(&["plugin", "verify", &signed]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("has not signed these bytes"), "{}", stderr(&output));
}

#[test]
fn code_for_another_machine_is_sealed_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("edge");
    let key = file(&folder, "edge.key", &[7; 32]);
    let line = ["plugin", "compile", "sampler-ratio", "--target", "aarch64-unknown-linux-gnu", "--out", out.to_str().unwrap()];
    let output = host(&[&line[..], &["--key", key.to_str().unwrap(), "--format", "json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let compiled: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(Path::new(compiled["file"].as_str().unwrap()).exists(), "{compiled}");
    assert_eq!((&compiled["new_key"], fs::read(out.join("key")).unwrap()), (&false.into(), vec![7; 32]));
    let output = host(&["plugin", "compile", "sampler-ratio", "--target", "vax", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("aarch64-unknown-linux-gnu"), "{}", stderr(&output));
}

#[test]
fn the_adapter_is_a_module_on_standard_output_and_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stub.wasm");
    let piped = host(&["plugin", "adapter"]);
    let output = host(&["plugin", "adapter", "-o", path.to_str().unwrap()]);
    assert!(stdout(&output).contains("--adapt wasi_snapshot_preview1="), "{}", stderr(&output));
    assert!(piped.stdout.starts_with(b"\0asm"));
    assert_eq!(fs::read(path).unwrap(), piped.stdout);
}

#[test]
fn calls_that_failed_are_read_from_a_folder_without_a_running_host() {
    let folder = tempfile::tempdir().unwrap();
    let state = ["--state-dir", folder.path().to_str().unwrap()];
    let output = host(&[&["plugin", "repro", "list"][..], &state].concat());
    assert_eq!(stdout(&output), "no call that failed is kept\n", "{}", stderr(&output));
    let output = host(&[&["plugin", "repro", "list", "--format", "json"][..], &state].concat());
    assert_eq!(stdout(&output), "[]\n");
    for command in ["show", "run"] {
        let output = host(&[&["plugin", "repro", command, "1767323045000-sampler-file-trap"][..], &state].concat());
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        let output = host(&[&["plugin", "repro", command, "../../etc"][..], &state].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

#[test]
fn completions_know_the_commands() {
    for (shell, word) in [("bash", "rollback"), ("zsh", "repro"), ("fish", "promote")] {
        assert!(stdout(&host(&["completions", shell])).contains(word), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    assert!(host(&["man", "--all", folder.path().to_str().unwrap()]).status.success());
    for page in ["host.1", "host-run.1", "host-plugin-load.1", "host-plugin-repro-run.1", "host-probe-list.1"] {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(stdout(&host(&["man", "plugin", "load"])).contains("Put a component into a slot"));
    assert_eq!(host(&["man", "plugin", "lod"]).status.code(), Some(2));
}

#[test]
fn a_replayed_capture_ends_with_a_ledger_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("host.sock");
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/captures/default.capture");
    let state = folder.path().join("state");
    let run = ["run", "--replay", capture.to_str().unwrap(), "--output", "none", "--socket", socket.to_str().unwrap()];
    let run = [&run[..], &["--state-dir", state.to_str().unwrap()]].concat();
    let output = host(&run);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("REPLAY of a capture"), "{}", stdout(&output));
    assert!(stderr(&output).contains("ready, replaying"), "{}", stderr(&output));
    assert!(state.join("cache/key").exists(), "compiled code is kept where --state-dir says");

    let output = host(&[&run[..], &["--format", "json", "--log-format", "json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["balanced"], &report["mode"], &report["cause"]), (&true.into(), &"replay".into(), &"ended".into()));
    assert!(report["paths"][0]["ledger"]["produced"].as_u64().unwrap() > 0, "{report}");
    for line in stderr(&output).lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn events_go_to_standard_output_and_the_ledger_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("host.sock");
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/captures/default.capture");
    let capture = capture.to_str().unwrap();
    let (socket, state) = (socket.to_str().unwrap(), folder.path().join("state"));
    let state = state.to_str().unwrap();
    let output = host(&["run", "--replay", capture, "--output", "jsonl", "--socket", socket, "--state-dir", state]);
    let events = stdout(&output);
    assert!(events.lines().count() > 0);
    for line in events.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    assert!(stderr(&output).contains("exported"), "{}", stderr(&output));
}
