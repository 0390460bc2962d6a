//! Attacks on parsers of this protocol.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_dns::Dns;
use plugin_sdk::conversation::{Beginning, Opinion, Protocol, Sender, Transport};
use plugin_sdk::testing::{Talk, decoder};

fn udp() -> Talk {
    Talk::udp("10.0.0.7:40000", 53)
}

/// A question with this id and these bytes as its name.
fn question(id: u16, name: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes()[..], b"\x01\0\0\x01\0\0\0\0\0\0", name, b"\0\x01\0\x01"].concat()
}

#[test]
fn names_that_point_at_themselves_and_at_each_other_end() {
    for name in [&b"\xc0\x0c"[..], b"\x01a\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\xc0\xff", b"\xff\xff", b"\x3f", b"\x40"] {
        let talk = udp().client(&question(1, name)).client(&question(2, b"\x01a\0")).tick().flush();
        assert_eq!(talk.rows::<Dns>().len(), 1, "{name:?}");
    }
}

/// Claimed counts, and loops over them (CVE-2026-45680 of other parsers).
#[test]
fn counts_are_not_believed() {
    let mut claims = question(1, b"\x01a\0");
    claims[2..12].copy_from_slice(b"\x81\x80\xff\xff\xff\xff\xff\xff\xff\xff");
    let began = std::time::Instant::now();
    let talk = (0..20_000).fold(udp(), |talk, _| talk.server(&claims));
    assert_eq!(talk.rows::<Dns>(), [""; 0]);
    claims[4..6].copy_from_slice(b"\0\x01");
    claims[6..8].copy_from_slice(b"\0\0");
    let talk = (0..20_000).fold(udp(), |talk, _| talk.server(&claims));
    assert_eq!(talk.rows::<Dns>(), [""; 0]);
    assert!(began.elapsed().as_secs() < 20);
}

#[test]
fn questions_that_nobody_answers_do_not_fill_the_memory() {
    let mut decoder = decoder::<Dns>("{}");
    let mut rows = 0;
    for batch in 0..40_u16 {
        let talk = (0..1000).fold(udp().connection(7), |talk, n| talk.client(&question(batch * 1000 + n, b"\x01a\0")));
        rows += talk.rows_of(&mut decoder).len();
    }
    let waiting = udp().connection(7).flush().rows_of(&mut decoder).len();
    assert_eq!((rows + waiting, waiting), (40_000, 4096), "each is told once");
}

#[test]
fn a_thousand_strangers_do_not_take_a_server_s_socket_away() {
    let talk = udp().client(&question(1, b"\x01a\0"));
    let talk = (0..1000).fold(talk, |talk, _| talk.client(b"hunter2 hunter2 hunter2"));
    let rows = talk.client(&question(2, b"\x01b\0")).flush().rows::<Dns>();
    assert_eq!(rows.len(), 2);
}

#[test]
fn addresses_and_texts_that_are_answered_are_told_nowhere() {
    let talk = udp().script(include_str!("conversations/udp.txt"));
    let told: Vec<String> = talk.fields::<Dns>().into_iter().flatten().map(|(_, value)| value).collect();
    for secret in ["10.1.2.3", "fd00::3", "v=spf1", "dnsmasq-2.90", "mail.example.test"] {
        assert!(!told.iter().any(|value| value.contains(secret)), "{secret}");
    }
}

#[test]
fn only_dns_is_recognised() {
    let (dns, query) = (Dns::default(), question(0x1234, b"\x03www\x07example\x03com\0"));
    let on = |server_port: u16, transport: Transport, payload: &[u8]| {
        dns.recognise(&Beginning { server_port, sender: None::<Sender>, transport, payload })
    };
    assert_eq!(on(5300, Transport::Udp, &query), Opinion::FromClient);
    let over_tcp = [&[0, query.len() as u8][..], &query].concat();
    assert_eq!(on(5300, Transport::Tcp, &over_tcp), Opinion::FromClient);
    assert_eq!(on(5300, Transport::Tcp, &over_tcp[..2]), Opinion::Unsure);
    let mut answer = query.clone();
    answer[2..4].copy_from_slice(b"\x81\x83");
    assert_eq!(on(5300, Transport::Udp, &answer), Opinion::FromServer);
    for port in [5353, 5355, 137] {
        assert_eq!(on(port, Transport::Udp, &query), Opinion::No, "{port}");
    }
    for other in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"*1\r\n$4\r\nPING\r\n", &[0; 64], &[0xff; 64], b"\x16\x03\x01\x02\0\x01\0", b"x"]
    {
        assert_ne!(on(5300, Transport::Tcp, other), Opinion::FromClient, "{other:?}");
        assert_eq!(on(5300, Transport::Udp, other), Opinion::No, "{other:?}");
    }
}
