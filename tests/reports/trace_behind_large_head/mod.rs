//! See README.md.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use host_tests::turn;
use serde_json::Value;

const REQUESTS: usize = 120;

#[test]
fn a_request_is_in_its_trace_however_large_its_head_is_needs_root() {
    let Some(_turn) = turn::turn_as_root() else { return };
    let mut talk = Command::new("python3")
        .arg(super::file("trace_behind_large_head", "talk.py"))
        .arg(REQUESTS.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(talk.stdout.take().unwrap()).lines().map(Result::unwrap);
    let port: u64 = told.next().unwrap().parse().unwrap();
    let host = super::host_with_rows();
    writeln!(talk.stdin.take().unwrap(), "go").unwrap();
    assert_eq!(told.next().unwrap(), format!("{REQUESTS} {REQUESTS}"), "what the client counts");
    talk.wait().unwrap();
    let is_ours = |row: &Value| row["attributes"]["server.port"] == port;
    let rows = super::rows_when(&host, "both ends have told all", |rows| {
        rows.iter().filter(|row| is_ours(row)).count() >= 2 * REQUESTS
    });
    for kind in ["client", "server"] {
        let of: Vec<&Value> = rows.iter().filter(|row| is_ours(row) && row["kind"] == kind).collect();
        let traces: BTreeSet<&str> = of.iter().filter_map(|row| row["trace_id"].as_str()).collect();
        let expected: Vec<String> =
            (1..=REQUESTS).map(|number| format!("{:032x}", 0xabc_u128 << 112 | number as u128)).collect();
        assert_eq!(
            (of.len(), traces.into_iter().collect::<Vec<_>>()),
            (REQUESTS, expected.iter().map(String::as_str).collect()),
            "{kind}"
        );
        assert!(of.iter().all(|row| row["attributes"]["http.response.body.size"] == 3000), "{kind}: {:?}", of[0]);
    }
}
