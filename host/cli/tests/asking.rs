//! What is made of the answers of a running host. The host is a stand-in: a socket that gives one prepared answer and keeps what
//! it was asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test stops at the first wrong answer")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

/// Runs `host` with these arguments against a host that answers so; gives the output and the request.
fn ask(arguments: &[&str], status: u16, answer: &str) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("host.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    let stand_in = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        reader.read_line(&mut request).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        request.push_str(&String::from_utf8(body).unwrap());
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        request
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    let output = command.args(arguments).arg("--socket").arg(&socket).output().unwrap();
    (output, stand_in.join().unwrap())
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
        std::fs::write(&file, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(actual == expected, "{name} differs.\n--- expected\n{expected}\n--- actual\n{actual}");
}

const STATUS: &str = include_str!("expected/status.json");

#[test]
fn a_status_becomes_a_table() {
    let (output, request) = ask(&["status"], 200, STATUS);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(request.starts_with("GET /v1/status "), "{request}");
    expect("status.txt", &stdout(&output));
}

#[test]
fn the_plugins_of_all_paths_stand_below_their_slots() {
    let (output, _) = ask(&["plugin", "list"], 200, include_str!("expected/plugins.json"));
    expect("plugins.txt", &stdout(&output));
}

#[test]
fn a_slot_is_inspected_by_its_name() {
    let (output, _) = ask(&["plugin", "inspect", "decoder.tcp"], 200, include_str!("expected/plugins.json"));
    let text = stdout(&output);
    assert!(text.contains("decoder.tcp: decoder-tcp@0.1.0, generation 1"), "{text}");
    assert!(!text.contains("sampler"), "{text}");
}

#[test]
fn a_table_has_room_on_80_columns() {
    for table in ["status", "plugins"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/expected/{table}.txt"));
        let table = std::fs::read_to_string(file).unwrap();
        let widest = table.lines().filter(|line| !line.contains("FAILED")).map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?}");
    }
}

#[test]
fn json_passes_through_untouched() {
    let odd = "{\"z\":1,\"a\" : [1.0e3,2],\n \"unknown\":\"kept\"}";
    let (output, _) = ask(&["status", "--format", "json"], 200, odd);
    assert_eq!(stdout(&output), format!("{odd}\n"));
}

#[test]
fn a_refusal_is_said_with_its_step_and_cure_and_ends_with_3() {
    let refusal = r#"{"error":{"step":"grant","message":"it imports `maps`, which is not granted\u001b[2J","cure":"add\n[plugins.sampler]\ngrants = [\"maps\"]"}}"#;
    let (output, _) = ask(&["plugin", "load", "x.wasm"], 422, refusal);
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
    assert_eq!(
        stderr(&output),
        "error: grant: it imports `maps`, which is not granted\u{fffd}[2J\nhint: add\n  [plugins.sampler]\n  grants = [\"maps\"]\n"
    );
}

#[test]
fn a_load_says_the_file_absolutely_the_slot_and_the_configuration() {
    let live = r#"{"slot":"sampler","name":"s","version":"1.0.0","digest":"sha256:0","generation":2,"pause_ns":1500,"rows_during":7,"unchanged":false}"#;
    let (output, request) = ask(&["plugin", "load", "x.wasm", "--slot", "sampler", "--config", r#"{"ratio":0.5}"#], 200, live);
    assert_eq!(stdout(&output), "sampler: s@1.0.0 is live as generation 2; paused 1.5 us, 7 rows passed meanwhile\nsha256:0\n");
    let (line, body) = request.split_once('\n').unwrap();
    assert!(line.starts_with("POST /v1/plugins/load "), "{line}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(body["path"].as_str().unwrap().starts_with('/'), "{body}");
    assert_eq!((&body["slot"], &body["config"]["ratio"]), (&"sampler".into(), &0.5.into()));
}

#[test]
fn an_answer_that_is_none_is_a_failure_and_no_table() {
    let (output, _) = ask(&["status"], 200, "<html>");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hint: "), "{}", stderr(&output));
}
