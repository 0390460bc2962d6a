//! The output for answers of a running host. The host is a stand-in: a socket that gives one prepared answer and stores the request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test stops at the first wrong answer")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;

/// Runs `host` with these arguments against a host that always gives this answer; returns the output and the last request.
fn ask(arguments: &[&str], status: u16, answer: &str) -> (Output, String) {
    let (output, mut requests) = ask_all(arguments, status, &[("", answer)]);
    (output, requests.pop().unwrap_or_default())
}

/// The same against a host with an answer for each path: the first whose prefix matches.
fn ask_all(arguments: &[&str], status: u16, answers: &[(&str, &str)]) -> (Output, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("host.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answers: Vec<(String, String)> = answers.iter().map(|(path, answer)| (path.to_string(), answer.to_string())).collect();
    let (seen, requests) = mpsc::channel();
    // The thread waits for one more request when the test ends, and ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let request = request(&mut reader);
            let path = request.split(' ').nth(1).unwrap_or_default();
            let answer = answers.iter().find(|(start, _)| path.starts_with(start)).map_or("", |(_, answer)| answer);
            // Sent before the answer, so that a test that has the answer also finds the request.
            seen.send(request).unwrap();
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close"
            );
            reader.get_mut().write_all(format!("{head}\r\n\r\n{answer}").as_bytes()).unwrap();
        }
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    let output = command.args(arguments).arg("--socket").arg(&socket).output().unwrap();
    (output, requests.try_iter().collect())
}

/// Reads a request: its first line and its body.
fn request(reader: &mut BufReader<UnixStream>) -> String {
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
    request
}

/// A file to load: only the host looks at its content.
fn component() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.wasm");
    std::fs::write(&file, "abc").unwrap();
    let file = file.to_str().unwrap().to_owned();
    (folder, file)
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
const REQUESTS: &str = include_str!("expected/requests.json");
const PLUGINS: &str = include_str!("expected/plugins.json");
const SLOTS: &str = include_str!("expected/slots.json");
const SHADOWS: &str = include_str!("expected/shadows.json");
const COMPARISON: &str = include_str!("expected/compare.json");
const LIVE: &str = r#"{"slot":"sampler","name":"s","version":"1.0.0","digest":"sha256:0","generation":2,"pause_ns":1500,"rows_during":7,"handover":"warm","unchanged":false}"#;

#[test]
fn a_status_becomes_a_table() {
    let (output, request) = ask(&["status"], 200, STATUS);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(request.starts_with("GET /v1/status "), "{request}");
    expect("status.txt", &stdout(&output));
}

#[test]
fn requests_become_a_table_by_service_or_json_with_the_names_that_scripts_rely_on() {
    let (output, request) = ask(&["requests"], 200, REQUESTS);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(request.starts_with("GET /v1/requests "), "{request}");
    expect("requests.txt", &stdout(&output));
    let all = ["requests", "--format", "json", "--protocol", "http", "--role", "server", "--limit", "1"];
    let (output, _) = ask(&all, 200, REQUESTS);
    let requests: Vec<serde_json::Value> = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(requests, serde_json::from_str::<Vec<serde_json::Value>>(REQUESTS).unwrap()[..1]);
}

#[test]
fn the_plugins_of_all_paths_stand_below_their_slots() {
    let answers = [("/v1/plugins", PLUGINS), ("/v1/shadows", SHADOWS)];
    let (output, requests) = ask_all(&["plugin", "list"], 200, &answers);
    assert_eq!(requests.len(), 2, "{requests:?}");
    expect("plugins.txt", &stdout(&output));
}

#[test]
fn a_slot_is_inspected_by_its_name() {
    let answers = [("/v1/plugins", PLUGINS), ("/v1/shadows", SHADOWS), ("/v1/slots", SLOTS)];
    let (output, _) = ask_all(&["plugin", "inspect", "sampler"], 200, &answers);
    let text = stdout(&output);
    assert!(text.contains("plugin      sampler-ratio@0.1.0, generation 2\n"), "{text}{}", stderr(&output));
    assert!(text.contains("deadlines.decide") && text.contains("SHADOW: sampler-tail@1.0.0"), "{text}");
    assert!(!text.contains("decoder"), "{text}");

    let (output, _) = ask_all(&["plugin", "inspect", "sampler", "--format", "json"], 200, &answers);
    let known: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&known["live"]["generation"], known["paths"].as_array().unwrap().len()), (&2.into(), 3));
    assert_eq!((&known["kept"][0]["generation"], &known["shadow"]["state"]), (&1.into(), &"shadowing".into()));

    let (output, _) = ask_all(&["plugin", "inspect", "enricher.none"], 200, &answers);
    assert_eq!((output.status.code(), stderr(&output).contains("enricher.none is empty")), (Some(1), true));
}

#[test]
fn the_history_of_a_slot_names_its_generations_and_its_swaps() {
    let answers = [("/v1/slots", SLOTS), ("/v1/status", STATUS)];
    let (output, _) = ask_all(&["plugin", "history", "sampler"], 200, &answers);
    let text = stdout(&output);
    assert!(text.contains("  2    live  sampler-ratio@0.1.0") && text.contains("  1          sampler-ratio@0.1.0"), "{text}");
    assert!(text.contains("sampler: sampler-ratio@0.1.0 (1) -> sampler-ratio@0.1.0 (2), "), "{text}");
    assert!(text.contains(" ago, 41.3 us, cold\n"), "{text}");
    let (output, _) = ask_all(&["plugin", "history", "decoder.tcp", "--format", "json"], 200, &answers);
    let history: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let empty: [serde_json::Value; 0] = [];
    assert_eq!(
        (history["generations"][0]["slot"].as_str(), history["swaps"].as_array().unwrap().as_slice()),
        (Some("decoder.tcp"), &empty[..])
    );
}

#[test]
fn a_rollback_says_which_generation() {
    let (output, request) = ask(&["plugin", "rollback", "sampler", "--to", "3"], 200, LIVE);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(request.ends_with(r#"{"slot":"sampler","generation":3}"#), "{request}");
}

#[test]
fn a_candidate_is_said_with_its_share_its_pin_and_its_condition() {
    let digest = format!("sha256:{}", "AB".repeat(32));
    let (_folder, file) = component();
    let line = ["plugin", "shadow", &file, "--slot", "sampler", "--share", "10%", "--pin", &digest];
    let promise = ["--promote-if", "disagreement < 0.1% and faults == 0", "--after", "10m"];
    let (output, request) = ask(&[&line[..], &promise].concat(), 200, COMPARISON);
    assert!(stdout(&output).starts_with("sampler: sampler-tail@1.0.0 is in the shadow of"), "{}", stderr(&output));
    let (line, body) = request.split_once('\n').unwrap();
    assert!(line.starts_with("POST /v1/plugins/shadow "), "{line}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["path"], &body["bytes_base64"]), (&file.into(), &"YWJj".into()), "the bytes, and what they are called");
    assert_eq!(
        (&body["share"], &body["after_ms"], &body["pin"]),
        (&0.1.into(), &600_000.into(), &digest.to_lowercase().into())
    );
    assert_eq!(body["promote_if"], "disagreement < 0.1% and faults == 0");
}

#[test]
fn a_comparison_becomes_a_page_or_passes_through_untouched() {
    let answers = [("/v1/shadows", SHADOWS), ("/v1/plugins/compare?slot=sampler", COMPARISON)];
    let (output, requests) = ask_all(&["plugin", "compare"], 200, &answers);
    assert!(requests.last().unwrap().starts_with("GET /v1/plugins/compare?slot=sampler "), "{requests:?}");
    expect("compare.txt", &stdout(&output));
    let (output, _) = ask_all(&["plugin", "compare", "sampler", "--format", "json"], 200, &answers);
    assert_eq!(stdout(&output), format!("{COMPARISON}\n"));
}

#[test]
fn watching_a_candidate_ends_with_it() {
    let over = COMPARISON.replace("\"state\": \"shadowing\"", "\"state\": \"kept\", \"reason\": \"disagreement is 1.02%\"");
    let (output, requests) = ask(&["plugin", "compare", "sampler", "--watch"], 200, &over);
    assert!(output.status.success(), "{requests}");
    assert!(stdout(&output).contains("  kept: disagreement is 1.02%, after 2m03s\n"), "{}", stdout(&output));
    assert!(!stdout(&output).contains('\u{1b}'), "nothing is drawn over where there is no terminal");
}

#[test]
fn the_only_candidate_is_promoted_and_discarded_without_being_named() {
    let answers = [("/v1/shadows", SHADOWS), ("/v1/plugins/promote", LIVE), ("/v1/plugins/discard", COMPARISON)];
    let (output, requests) = ask_all(&["plugin", "promote"], 200, &answers);
    assert!(stdout(&output).contains("is live as generation 2"), "{}", stderr(&output));
    assert!(requests.last().unwrap().ends_with(r#"{"slot":"sampler"}"#), "{requests:?}");
    let (output, _) = ask_all(&["plugin", "discard"], 200, &answers);
    assert!(stdout(&output).contains("is discarded after 2m03s; it differed on 1,024 of 100,352 rows"), "{}", stdout(&output));
    let (output, _) = ask_all(&["plugin", "promote"], 200, &[("/v1/shadows", "[]")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "error: no slot has a candidate\nhint: `host plugin shadow FILE` brings one\n");
}

#[test]
fn a_table_has_room_on_80_columns() {
    for table in ["status", "requests", "plugins", "compare"] {
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
    let (output, _) = ask(&["plugin", "load", "sampler-ratio"], 422, refusal);
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
    assert_eq!(
        stderr(&output),
        "error: grant: it imports `maps`, which is not granted\u{fffd}[2J\nhint: add\n  [plugins.sampler]\n  grants = [\"maps\"]\n"
    );
}

#[test]
fn a_load_sends_the_bytes_of_the_file_with_its_path_the_slot_and_the_configuration() {
    let pin = "ab".repeat(32);
    let (_folder, file) = component();
    let line = ["plugin", "load", &file, "--slot", "sampler", "--config", r#"{"ratio":0.5}"#, "--pin", &pin];
    let (output, request) = ask(&line, 200, LIVE);
    let expected = "sampler: s@1.0.0 is live as generation 2; paused 1.5 us, 7 rows passed meanwhile\n\
                    warm: it goes on with the state of its predecessor\nsha256:0\n";
    assert_eq!(stdout(&output), expected);
    let (line, body) = request.split_once('\n').unwrap();
    assert!(line.starts_with("POST /v1/plugins/load "), "{line}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["path"], &body["bytes_base64"]), (&file.into(), &"YWJj".into()));
    assert_eq!((&body["slot"], &body["config"]["ratio"]), (&"sampler".into(), &0.5.into()));
    assert_eq!(body["pin"], format!("sha256:{pin}"));
}

#[test]
fn an_answer_that_is_none_is_a_failure_and_no_table() {
    let (output, _) = ask(&["status"], 200, "<html>");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hint: "), "{}", stderr(&output));
}
