//! The decoder, natively: no Wasm, no host, no root.

use plugin_sdk::testing::{Talk, mutated};

use super::Depot;

fn talk() -> Talk {
    Talk::tcp("10.0.0.7:40000", 7070)
}

#[test]
fn a_conversation_becomes_these_rows() {
    let rows = talk().script(include_str!("../conversation.txt")).end().rows::<Depot>();
    assert_eq!(rows.join("\n"), include_str!("../rows.txt").trim_end());
}

#[test]
fn a_value_is_not_looked_at_whether_it_is_captured_or_not() {
    let value = b"GET 9 not-a-request\n".repeat(100);
    let put = [b"PUT 1 a 2000\n", &value[..]].concat();
    for cut in [64, 13, 4096] {
        let talk = talk().cut(cut).client(&put).server(b"OK 1\n").client(b"GET 2 b\n").server(b"NONE 2\n").end();
        assert_eq!(talk.rows::<Depot>().len(), 2, "cut to {cut}");
    }
}

#[test]
fn a_hundred_thousand_mutated_conversations_do_no_harm() {
    let talk = talk().script(include_str!("../conversation.txt")).end();
    assert!(mutated::<Depot>(&[talk], 100_000, 7).rows > 100_000);
}
