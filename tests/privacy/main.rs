//! Secrets that are planted in everything that the host sees of programs and their conversations: by default none of them is exported,
//! neither on standard output nor to a collector nor in `host requests`.

mod http;
mod mysql;
mod play;
mod postgresql;
mod programs;
mod small;

use std::fmt::Write;

use host_tests::daemon::Host;
use host_tests::sink::Sink;
use host_tests::turn::{measured, turn_as_root};

use crate::play::{Listener, Talk};

/// Minimum number of places in which secrets are planted: a shorter list has lost some.
const PLACES: usize = 153;

/// A secret, and the conversation that carries it.
struct Planted {
    /// The place of the secret.
    place: &'static str,
    secret: String,
    talk: Talk,
}

/// The place of a secret, its shape, and the function that makes the conversation.
type Place = (&'static str, Shape, Box<dyn Fn(&str) -> Talk>);

/// The name of a protocol, and its conversations with secrets from this number on.
type Protocol = (&'static str, fn(usize) -> Vec<Planted>);

/// The shape of a secret.
#[derive(Clone, Copy)]
enum Shape {
    /// `Zq017hunter2`: a password of a person.
    Word,
    /// Sixteen digits, like a card number.
    Digits,
    /// 32 hexadecimal digits.
    Hex,
    /// The key of a cloud account.
    Key,
    /// Three parts in base64, like a JSON Web Token.
    Token,
    /// A mail address.
    Mail,
    /// A version 4 UUID.
    Uuid,
}

// === impl Shape ===

impl Shape {
    /// Returns a secret that no other place has.
    fn secret(self, number: usize) -> String {
        match self {
            Self::Word => format!("Zq{number:03}hunter2"),
            Self::Digits => format!("4111{number:04}93{:06}", number * 7919 % 1_000_000),
            Self::Hex => format!("{:032x}", 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834_u128.wrapping_mul(number as u128 + 3)),
            Self::Key => format!("AKIA{}{number:04}", "QX7R2Z9WBTLM"),
            Self::Token => format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJa{number:04}.dBjftJeZ4CVPmB92K27uhbUJU1p1r{number:04}"),
            Self::Mail => format!("zq{number:03}hunter@example.com"),
            Self::Uuid => {
                format!("{:08x}-52a3-4b7c-9d3e-{:012x}", 0x9e37_79b9_u32.wrapping_mul(number as u32 + 1), number * 0x1_0001)
            }
        }
    }
}

/// Plants a secret of its own in each place; `first` is the number of the first.
fn planted(first: usize, places: Vec<Place>) -> Vec<Planted> {
    let plant = |(number, (place, shape, make)): (usize, Place)| {
        let secret = shape.secret(number);
        let talk = make(&secret);
        Planted { place, secret, talk }
    };
    places.into_iter().enumerate().map(|(index, place)| plant((first + index, place))).collect()
}

#[test]
fn no_planted_secret_leaves_by_default_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let sink = Sink::keeping();
    let mut host = Host::run_with(
        &["--probe", "l7", "--probe", "exec", "--output", "jsonl", "--otlp-protocol", "http/protobuf"],
        |command, _| {
            command.args(["--otlp-endpoint", &sink.endpoint()]);
        },
    );
    let protocols: [Protocol; 6] = [
        ("http", http::planted),
        ("postgresql", postgresql::planted),
        ("mysql", mysql::planted),
        ("redis", small::redis),
        ("memcached", small::memcached),
        ("dns", small::dns),
    ];
    let mut all: Vec<(&str, String)> = Vec::new();
    for (protocol, places) in protocols {
        let listener = Listener::bind(protocol);
        let places = places(all.len());
        for planted in &places {
            listener.play(&planted.talk);
        }
        let requests = host.settled_requests();
        let seen = requests.0.iter().filter(|request| request.protocol == protocol && request.server_port == listener.port);
        let seen: u64 = seen.map(|request| request.count).sum();
        // A secret that the host did not see proves nothing.
        assert!(seen >= places.len() as u64, "{protocol}: {seen} requests of {}: {requests:#?}", places.len());
        all.extend(places.into_iter().map(|planted| (planted.place, planted.secret)));
    }
    all.extend(programs::run(all.len()));
    assert!(all.len() >= PLACES, "{} places", all.len());

    let requests = String::from_utf8(host.ask(&["requests", "--format", "json"]).stdout).unwrap();
    // The stop waits for undelivered rows.
    let (lines, said) = host.stop();
    let sent = String::from_utf8_lossy(&sink.kept()).into_owned();
    assert!(lines.lines().count() >= all.len() && !sent.is_empty(), "{said}");
    let mut left = String::new();
    for (place, secret) in &all {
        for (way, text) in [("lines", &lines), ("collector", &sent), ("requests", &requests), ("log", &said)] {
            if let Some(at) = text.to_ascii_lowercase().find(&secret.to_ascii_lowercase()) {
                let around: String =
                    text[text[..at].char_indices().rev().nth(160).map_or(0, |(at, _)| at)..].chars().take(240).collect();
                writeln!(left, "{place}: {secret} in {way}: {around:?}").unwrap();
            }
        }
    }
    measured(&format!("{} secrets planted, {} left", all.len(), left.lines().count()));
    assert!(left.is_empty(), "{left}");
}
