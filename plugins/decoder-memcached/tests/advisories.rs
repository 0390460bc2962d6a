//! Attacks on parsers of this protocol.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_memcached::Memcached;
use plugin_sdk::conversation::{Beginning, Opinion, Protocol, Sender, Transport};
use plugin_sdk::testing::{Talk, decoder};

fn talk(script: &str) -> Talk {
    Talk::tcp("10.0.0.7:40000", 11211).script(script)
}

/// CVE-2026-45686: `<bytes>` is the largest number, and two are added.
#[test]
fn lengths_that_nothing_can_have_are_none() {
    for length in
        ["2147483647", "4294967295", "9223372036854775807", "18446744073709551615", "-1", "-9223372036854775808", "x", ""]
    {
        let lines = [
            format!("> set k 0 0 {length}\\r\\n\n< CLIENT_ERROR bad command line format\\r\\n\n"),
            format!("> cas k 0 0 {length} 1\\r\\n\n< CLIENT_ERROR bad command line format\\r\\n\n"),
            format!("> ms k {length}\\r\\n\n< CLIENT_ERROR bad command line format\\r\\n\n"),
            format!("> get k\\r\\n\n< VALUE k 0 {length}\\r\\n\n"),
            format!("> mg k v\\r\\n\n< VA {length}\\r\\n\n"),
        ];
        for line in lines {
            let after = "> get nothing\\r\\n\n< END\\r\\n\n";
            let rows = talk(after).script(&line).script(after).end().rows::<Memcached>();
            assert_eq!(rows.len(), 3, "{line}: {rows:?}");
            assert!(rows[2].contains("status_code=END"), "{line}: {rows:?}");
        }
    }
}

/// A server would wait for it as well: the rest of a value of 2 GiB.
#[test]
fn the_largest_value_costs_no_memory() {
    let mut claim = talk("> set k 0 0 2147483645\\r\\n\n");
    for _ in 0..1000 {
        claim = claim.client(&[b'x'; 4096]);
    }
    assert_eq!(claim.end().rows::<Memcached>().len(), 1);
}

#[test]
fn bodies_and_keys_of_binary_messages_are_bounded() {
    for (place, value) in [(8, 0xff), (8, 0x7f), (2, 0xff), (4, 0xff), (1, 0xff), (11, 0xff)] {
        let mut message = [0_u8; 24];
        message[0] = 0x80;
        message[place] = value;
        let broken = Talk::tcp("10.0.0.7:40000", 11211).client(&message).server(&message);
        message[0] = 0x81;
        let _ = broken.server(&message).client(&message).end().rows::<Memcached>();
    }
}

#[test]
fn keys_values_and_texts_of_errors_are_told_nowhere() {
    let scripts = [
        include_str!("conversations/text.txt"),
        include_str!("conversations/meta.txt"),
        include_str!("conversations/binary.txt"),
    ];
    for script in scripts {
        let told: Vec<String> = talk(script).fields::<Memcached>().into_iter().flatten().map(|(_, value)| value).collect();
        for secret in ["hunter2", "session", "secret", "non-numeric", "bad", "key", "nothing"] {
            assert!(!told.iter().any(|value| value.contains(secret)), "{secret}");
        }
    }
}

#[test]
fn a_client_that_never_listens_does_not_fill_the_memory() {
    let talk = (0..100).fold(talk(""), |talk, _| talk.client(&b"get k\r\nmg k q\r\n".repeat(100)));
    assert_eq!(talk.clone().end().rows::<Memcached>().len(), 20_000, "each is told once");
    let mut decoder = decoder::<Memcached>("{}");
    assert_eq!(talk.rows_of(&mut decoder).len(), 20_000 - 4096);
}

#[test]
fn only_memcached_is_recognised() {
    let on = |server_port: u16, sender: Option<Sender>, payload: &[u8]| {
        Memcached.recognise(&Beginning { server_port, sender, transport: Transport::Tcp, payload })
    };
    for line in [&b"set k 0 0 1\r\n1\r\n"[..], b"mg k v\r\n", b"gets k\r\n"] {
        assert_eq!(on(9999, None, line), Opinion::FromClient);
    }
    assert_eq!(on(11211, None, b"get k\r\n"), Opinion::FromClient);
    assert_eq!(on(9999, None, b"get k\r\n"), Opinion::Unsure, "Redis takes it as well");
    assert_eq!(on(9999, None, b"VALUE k 0 1\r\n1\r\nEND\r\n"), Opinion::FromServer);
    let mut message = [0_u8; 24];
    message[0] = 0x80;
    assert_eq!(on(9999, None, &message), Opinion::FromClient);
    for other in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"*1\r\n$4\r\nPING\r\n",
        &[0; 64],
        &[0x80; 64],
        b"\x16\x03\x01\x02\0\x01\0",
        b"220 mail\r\n",
    ] {
        assert_eq!(on(9999, Some(Sender::Client), other), Opinion::No, "{other:?}");
    }
}
