//! Attacks on parsers of this protocol.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first wrong answer")]

use decoder_redis::Redis;
use plugin_sdk::conversation::{Beginning, Opinion, Protocol, Sender, Transport};
use plugin_sdk::testing::{Talk, decoder};
use plugin_sdk::{Config, Sensitivity};

fn talk(script: &str) -> Talk {
    Talk::tcp("10.0.0.7:40000", 6379).script(script)
}

/// Returns all public text of all rows.
fn public(talk: &Talk) -> String {
    let schema = plugin_sdk::Decoder::schema(&decoder::<Redis>("{}")).clone();
    let is_public =
        |name: &str| schema.fields.iter().any(|field| field.name == name && field.sensitivity == Sensitivity::Public);
    let rows = talk.fields::<Redis>().into_iter().flatten();
    rows.filter(|(name, _)| is_public(name)).map(|(_, value)| value).collect::<Vec<_>>().join("\n")
}

/// CVE-2026-45679: the text of an error was exported unchanged, with the passwords and control characters in it.
#[test]
fn the_text_of_an_error_goes_nowhere() {
    let secrets = [
        "-ERR invalid password hunter2",
        "-hunter2 is no password",
        "-HUNTER2",
        "-ERR\\x1b[31mhunter2\\x07",
        "-WRONGPASS hunter2 hunter2",
        "!20\\r\\nERR  hunter2 hunter2",
    ];
    for secret in secrets {
        let rows = talk(&format!("> *2\\r\\n$4\\r\\nAUTH\\r\\n$7\\r\\nhunter2\\r\\n\n< {secret}\\r\\n\n"));
        let told = public(&rows).to_lowercase();
        assert!(!told.contains("hunter2") && !told.contains('\u{1b}'), "{told}");
        assert!(told.contains("auth ?"), "{told}");
    }
}

#[test]
fn neither_keys_nor_values_nor_names_that_are_not_known_are_told() {
    let all = include_str!("conversations/commands.txt");
    for secret in ["hunter2", "session", "nosuchcommand", "leak", "counter", "probe"] {
        assert!(all.contains(secret) && !public(&talk(all)).contains(secret), "{secret}");
    }
    let typed = talk("> AUTH hunter2\\r\\n\n< +OK\\r\\n\n> HELLO 3 AUTH default hunter2\\r\\n\n< %0\\r\\n\n");
    assert!(!public(&typed).contains("hunter2"));
}

/// Claimed counts and lengths, and loops over them (CVE-2026-45680, CVE-2026-45686 of other parsers).
#[test]
fn claims_cost_neither_time_nor_memory() {
    let claims = [
        "*2147483647",
        "*9223372036854775807",
        "*-2147483648",
        "$9223372036854775807",
        "*1\\r\\n$2147483647",
        "*1\\r\\n$-2",
        "%2147483647",
        "~9223372036854775807",
        "|2147483647",
        ">2147483647",
        "=2147483647",
        "!2147483647",
        "(1",
        "*1048577",
    ];
    for claim in claims {
        let mut script = String::from("> *1\\r\\n$4\\r\\nPING\\r\\n\n< +PONG\\r\\n\n");
        for _ in 0..1000 {
            script.push_str(&format!("> {claim}\\r\\n\n< {claim}\\r\\n\n"));
        }
        let began = std::time::Instant::now();
        let _ = talk(&script).end().rows::<Redis>();
        assert!(began.elapsed().as_secs() < 5, "{claim} takes {:?}", began.elapsed());
    }
}

#[test]
fn arrays_within_arrays_do_not_recurse() {
    let deep = "*1\\r\\n".repeat(500);
    let mut script = String::from("> *1\\r\\n$4\\r\\nPING\\r\\n\n");
    for _ in 0..200 {
        script.push_str(&format!("< {deep}\n"));
    }
    script.push_str("< :1\\r\\n\n");
    assert_eq!(talk(&script).rows::<Redis>().len(), 1);
}

#[test]
fn a_client_that_never_listens_does_not_fill_the_memory() {
    let mut talk = Talk::tcp("10.0.0.7:40000", 6379);
    for _ in 0..100 {
        talk = talk.client(&b"*1\r\n$4\r\nPING\r\n".repeat(200));
    }
    let rows = talk.clone().end().rows::<Redis>();
    assert_eq!(rows.len(), 20_000, "each is told once, whether it is waited for or not");
    let mut decoder = decoder::<Redis>("{}");
    assert_eq!(talk.rows_of(&mut decoder).len(), 20_000 - 8192);
    let state = plugin_sdk::Handover::export_state(&mut decoder).unwrap();
    assert!(state.bytes.len() < 400 << 10, "{} bytes", state.bytes.len());
}

#[test]
fn only_redis_is_recognised() {
    let redis = Redis::bind(Config::new("{}")).unwrap();
    let on = |server_port: u16, sender: Option<Sender>, payload: &[u8]| {
        redis.recognise(&Beginning { server_port, sender, transport: Transport::Tcp, payload })
    };
    for command in
        [&b"*1\r\n$4\r\nPING\r\n"[..], b"*2\r\n$5\r\nhello\r\n$1\r\n3\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999\r\nxxx"]
    {
        assert_eq!(on(9999, None, command), Opinion::FromClient);
    }
    assert_eq!(on(9999, None, b"*2\r\n$3\r\nGE"), Opinion::Unsure, "the name has not come");
    assert_eq!(on(9999, None, b"*1\r\n$7\r\nhunter2\r\n"), Opinion::Unsure);
    assert_eq!(on(6379, None, b"*1\r\n$7\r\nhunter2\r\n"), Opinion::FromClient);
    assert_eq!([on(6379, None, b"PING\r\n"), on(9999, None, b"get k\r\n")], [Opinion::FromClient, Opinion::No]);
    assert_eq!([on(9999, None, b"+PONG\r\n"), on(6379, None, b"$-1\r\n")], [Opinion::FromServer; 2]);
    assert_eq!(on(9999, Some(Sender::Server), b"+OK\r\n"), Opinion::Unsure, "a server of mail says so as well");
    for other in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"* OK IMAP\r\n", b"set k 0 0 1\r\n", &[0; 64], b"\x16\x03\x01\x02\0\x01\0"] {
        assert_eq!(on(9999, None, other), Opinion::No, "{other:?}");
    }
}
