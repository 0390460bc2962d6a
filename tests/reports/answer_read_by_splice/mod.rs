//! See README.md.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use host_tests::daemon::Host;
use host_tests::turn;
use serde_json::Value;

const CONNECTIONS: usize = 6;
/// Number of requests of each connection, whose answers are seen at both ends.
const SEEN: usize = 4;

#[test]
fn an_answer_that_is_not_seen_shifts_no_other_needs_root() {
    let Some(_turn) = turn::turn_as_root() else { return };
    let mut talk = Command::new("python3")
        .arg(super::file("answer_read_by_splice", "talk.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(talk.stdout.take().unwrap()).lines().map(Result::unwrap);
    let port: u64 = told.next().unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("host.toml");
    std::fs::write(&config, "[export]\nsensitive = [\"url.path\"]\n").unwrap();
    let host = Host::run(&["--probe", "l7", "--output", "jsonl", "--config", config.to_str().unwrap()]);
    writeln!(talk.stdin.take().unwrap(), "go").unwrap();
    assert_eq!(told.next().unwrap(), (CONNECTIONS * (SEEN + 1)).to_string(), "what the client counts");
    talk.wait().unwrap();
    let of = |rows: &[Value], kind: &str| -> Vec<(String, u64)> {
        let ours = rows.iter().filter(|row| row["attributes"]["server.port"] == port && row["kind"] == kind);
        let told = ours.map(|row| {
            (
                row["attributes"]["url.path"].as_str().unwrap().to_owned(),
                row["attributes"]["http.response.status_code"].as_u64().unwrap_or_default(),
            )
        });
        told.collect()
    };
    let seen = |rows: &[(String, u64)]| rows.iter().filter(|(path, _)| path.starts_with("/seen/")).count();
    let rows = super::rows_when(&host, "both ends have told what was seen", |rows| {
        seen(&of(rows, "client")) >= CONNECTIONS * SEEN && of(rows, "server").len() >= CONNECTIONS * (SEEN + 1)
    });
    for kind in ["client", "server"] {
        let told = of(&rows, kind);
        assert_eq!(seen(&told), CONNECTIONS * SEEN, "{kind}");
        for (path, status) in told {
            let is_its = path.ends_with(&status.to_string());
            assert!(is_its || (kind == "client" && !path.starts_with("/seen/") && status == 0), "{kind}: {path} {status}");
        }
    }
}
