//! A request that is answered over HTTP/2 after an upgrade, with an error.

use host_tests::turn::turn_as_root;
use serde_json::Value;

use crate::{host_with_rows, output, python, rows_when};

#[test]
fn the_answer_on_stream_1_is_that_of_the_request_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let host = host_with_rows();
    let Some(mut ends) = python("upgrade_that_fails", "ends.py") else { return };
    let port: u64 = output(&mut ends).trim().parse().unwrap();
    let failed = |rows: &[Value], kind: &str| {
        let is = |row: &&Value| {
            let said = &row["attributes"];
            row["kind"] == kind && said["server.port"] == port && said["http.response.status_code"] == 500
        };
        rows.iter().filter(is).map(|row| row["attributes"].clone()).collect::<Vec<_>>()
    };
    let rows = rows_when(&host, "the failed request at both ends", |rows| {
        ["server", "client"].iter().all(|kind| !failed(rows, kind).is_empty())
    });
    for kind in ["server", "client"] {
        let [said] = &*failed(&rows, kind) else { panic!("it is told once: {rows:?}") };
        let [route, method, error] = ["http.route", "http.request.method", "error.type"].map(|name| said[name].as_str());
        assert_eq!([route, method, error], [Some("/up"), Some("POST"), Some("500")], "{said}");
    }
}
