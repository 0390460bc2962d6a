//! Decides by its first bytes whether a connection speaks Redis.

use plugin_sdk::conversation::{Beginning, Description, Opinion, Sender, Signature, Transport};

use crate::line;
use crate::reply::{Replies, Shape};
use crate::request;
use crate::vocabulary::{Name, Vocabulary};

/// The usual ports of Redis and its sentinels.
const PORTS: [u16; 3] = [6379, 6380, 26379];

/// Number of bytes of a call that are captured: pipelines consist of many small commands, and those beyond it cannot be counted.
const CAPTURE_BYTES: u32 = 4096;
/// The ports and signatures by which the host finds connections.
pub(crate) fn description() -> Description {
    let client = |bytes: &[u8], mask: &[u8]| Signature::client(bytes).masked(mask).tcp();
    let server = |bytes: &[u8]| Signature::server(bytes).tcp();
    Description::new("redis")
        .on_port(6379)
        .on_port(6380)
        .on_port(26379)
        .capture_bytes(CAPTURE_BYTES)
        // `*`, and a digit other than 0.
        .signature(client(b"*0", b"\xff\xf0"))
        .signature(server(b"+PONG\r\n"))
        .signature(server(b"+OK\r\n"))
        .signature(server(b"-NOAUTH "))
        .signature(server(b"-ERR "))
        .signature(server(b"$").on_port(6379))
        .signature(Signature::client(b"PING\r\n").tcp())
}

/// Returns the opinion about the first bytes that an end sent.
pub(crate) fn recognise(words: &Vocabulary, beginning: &Beginning<'_>) -> Opinion {
    if beginning.transport != Transport::Tcp {
        return Opinion::No;
    }
    let is_usual = PORTS.contains(&beginning.server_port);
    let from_client = match beginning.sender {
        Some(Sender::Server) => Opinion::No,
        _ => recognise_client(words, beginning.payload, is_usual),
    };
    match (from_client, beginning.sender) {
        (Opinion::No, None | Some(Sender::Server)) => recognise_server(beginning.payload, is_usual),
        (opinion, _) => opinion,
    }
}

fn recognise_client(words: &Vocabulary, payload: &[u8], is_usual: bool) -> Opinion {
    match request::first_command(words, payload) {
        // Inline commands look like those of other protocols, such as memcached's `get`.
        Some(command) if payload.first() == Some(&b'*') => match command.name == Name::default() && !is_usual {
            true => Opinion::Unsure,
            false => Opinion::FromClient,
        },
        Some(_) if is_usual => Opinion::FromClient,
        Some(_) => Opinion::No,
        None if payload.first() == Some(&b'*')
            && !matches!(line::parse_number(payload), Err(_) | Ok(Some((None | Some(0), _)))) =>
        {
            Opinion::Unsure
        }
        None => Opinion::No,
    }
}

fn recognise_server(payload: &[u8], is_usual: bool) -> Opinion {
    const TYPICAL: [&[u8]; 4] = [b"+PONG\r\n", b"-ERR unknown command", b"-NOAUTH ", b"-WRONGTYPE "];
    match Replies::default().next(payload, 0, None, &mut 0) {
        Err(_) => Opinion::No,
        Ok(Some(reply)) if is_usual && reply.shape != Shape::Line => Opinion::FromServer,
        Ok(Some(_)) if TYPICAL.iter().any(|start| payload.starts_with(start)) => Opinion::FromServer,
        // A number or an `OK`: mail servers send these as well.
        Ok(_) => Opinion::Unsure,
    }
}
