//! Exchanges that go on, or are answered, after the decoder's timeout.

use std::fs;

use host_tests::turn::turn_as_root;
use serde_json::Value;

use crate::{output, python, rows_when};

/// A timeout of two seconds.
const CONFIG: &str = "[plugins.\"decoder.http\"]\nconfig = { timeout = \"2s\" }\n";

#[test]
fn streams_are_told_whole_and_late_answers_after_all_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("host.toml");
    fs::write(&config, CONFIG).unwrap();
    let host = host_tests::daemon::Host::run(&["--probe", "l7", "--output", "jsonl", "--config", config.to_str().unwrap()]);
    let Some(mut ends) = python("streams_longer_than_the_timeout", "ends.py") else { return };
    let said = output(&mut ends);
    let (port, waited) = said.split_once('\n').unwrap();
    let port: u64 = port.parse().unwrap();
    let waited = |path: &str| {
        let line = waited.lines().find_map(|line| line.strip_prefix(path)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    // The rows of this server: the row itself, and its attributes.
    let of = |rows: &[Value], kind: &str, path: &str| -> Vec<(Value, Value)> {
        let known = |row: &Value| (row.clone(), row["attributes"].clone());
        let is =
            |(row, said): &(Value, Value)| row["kind"] == kind && said["server.port"] == port && said["http.route"] == path;
        rows.iter().map(known).filter(is).collect()
    };
    let ms = |row: &Value| row["duration_ns"].as_u64().unwrap() / 1_000_000;
    let is_all = |rows: &[Value], kind: &str| {
        let told = |path: &str| of(rows, kind, path).len();
        told("/stream") > 0 && told("/upload") > 0 && told("/late") > 1
    };
    let rows = rows_when(&host, "all rows", |rows| is_all(rows, "server") && is_all(rows, "client"));
    for kind in ["server", "client"] {
        for (path, status, size) in [("/stream", 200, "http.response.body.size"), ("/upload", 204, "http.request.body.size")] {
            let [(row, said)] = &*of(&rows, kind, path) else { panic!("{path} is told once: {rows:?}") };
            assert_eq!((&said["error.type"], &said["http.response.status_code"]), (&Value::Null, &status.into()), "{row}");
            assert!(ms(row) + 200 > waited(path), "{path} took {} ms: {row}", waited(path));
            assert!(said[size] == 70, "{row}");
        }
        let [(given_up, first), (ended, second)] = &*of(&rows, kind, "/late") else { panic!("/late is told twice: {rows:?}") };
        assert_eq!((&first["error.type"], &first["response.late"]), (&"timeout".into(), &Value::Null), "{given_up}");
        assert_eq!((&second["response.late"], &second["http.response.status_code"]), (&true.into(), &404.into()), "{ended}");
        assert!(ms(ended) + 200 > waited("/late"), "{ended}");
        let span = |row: &Value| (row["trace_id"].clone(), row["span_id"].clone());
        assert_eq!(span(given_up), span(ended), "they are one exchange");
        assert!(span(ended).1.is_string(), "{ended}");
    }
}
