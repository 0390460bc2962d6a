//! Decides by its first bytes whether a connection speaks PostgreSQL.

use plugin_sdk::conversation::{Beginning, Description, Opinion, Sender, Signature};

use crate::message::{Framed, Message, Opening, parse_message, parse_opening};

/// Number of bytes of a call that are captured: a result is 8 KiB of rows, of which only the length matters; a statement is mostly shorter.
const CAPTURE_BYTES: u32 = 1024;

/// The ports and signatures by which the host finds connections.
pub(crate) fn description() -> Description {
    // The first packet has no type: its length is under 64 KiB, then comes version 3. Kafka begins alike, so the decoder checks the rest.
    let startup = Signature::client(&[0, 0, 0, 0, 0, 3, 0]).masked(&[255, 255, 0, 0, 255, 255, 255]);
    let encryption = [0x2f, 0x30].map(|code| Signature::client(&[0, 0, 0, 8, 4, 0xd2, 0x16, code]).certain());
    let cancel = Signature::client(&[0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e]).certain();
    let mut description = Description::new("postgresql").on_port(5432).capture_bytes(CAPTURE_BYTES);
    for signature in [startup].into_iter().chain(encryption).chain([cancel]) {
        description = description.signature(signature.tcp());
    }
    // Sessions older than the host begin with any message.
    for tag in [b"Q\0", b"P\0", b"B\0"] {
        description = description.signature(Signature::client(tag).tcp());
    }
    for tag in [&b"T\0"[..], b"C\0\0\0", b"1\0\0\0\x04", b"2\0\0\0\x04", b"E\0", b"R\0\0\0", b"Z\0\0\0\x05", b"D\0"] {
        description = description.signature(Signature::server(tag).tcp());
    }
    description
}

/// Returns the opinion about the first bytes that an end sent.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    let payload = beginning.payload;
    let may_be = |sender| beginning.sender.is_none_or(|known| known == sender);
    if may_be(Sender::Client) {
        match parse_opening(payload) {
            Opening::Short => return Opinion::Unsure,
            Opening::Encryption | Opening::Cancel => return Opinion::FromClient,
            Opening::Startup { parameters, .. } if is_session(parameters) => return Opinion::FromClient,
            _ if begins_session(Sender::Client, payload) => return Opinion::FromClient,
            _ => {}
        }
    }
    if may_be(Sender::Server) && begins_session(Sender::Server, payload) {
        return Opinion::FromServer;
    }
    Opinion::No
}

/// Whether the parameters are those of a session: every client names its user, and libpq does so first.
fn is_session(parameters: &[u8]) -> bool {
    parameters.split(|&byte| byte == 0).step_by(2).any(|name| name == b"user")
}

/// Whether the payload begins with messages that identify a session: two of them, or one that is a statement.
pub(crate) fn begins_session(sender: Sender, payload: &[u8]) -> bool {
    let Framed::Message(first) = parse_message(sender, payload) else { return false };
    match sender {
        Sender::Client if first.tag == b'Q' => is_text(&first),
        // Passwords, copied data and the end of a session have no certain form.
        Sender::Client if !matches!(first.tag, b'P' | b'B') => false,
        // Alone at the start of the server's bytes: it has answered all earlier requests.
        Sender::Server if first.tag == b'Z' && payload.len() == 6 => payload.last().is_some_and(|state| b"ITE".contains(state)),
        _ => match payload.get(first.length..) {
            Some(behind) if !behind.is_empty() => matches!(parse_message(sender, behind), Framed::Message(_)),
            // One message that exceeds the payload proves too little, unless it prepares a statement.
            _ => first.tag == b'P' && is_text(&first),
        },
    }
}

/// Whether the body is text, ended by NUL if all of it was captured.
fn is_text(message: &Message<'_>) -> bool {
    let is_whole = message.body.len() + 5 == message.length;
    let bytes = if is_whole { message.body.strip_suffix(b"\0") } else { Some(message.body) };
    bytes.is_some_and(|bytes| {
        bytes.iter().take(64).any(u8::is_ascii_alphabetic)
            && bytes
                .iter()
                .take(64)
                .all(|&byte| byte >= b' ' || byte.is_ascii_whitespace() || (byte == 0 && message.tag == b'P'))
    })
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conversation::{Beginning, Opinion, Sender, Transport};

    use super::recognise;

    fn opinion(sender: Option<Sender>, payload: &[u8]) -> Opinion {
        recognise(&Beginning { server_port: 5432, sender, transport: Transport::Tcp, payload })
    }

    #[test]
    fn a_session_is_recognised_from_its_start_and_from_its_middle() {
        for client in [
            &b"\0\0\0\x13\0\x03\0\0user\0bench\0\0"[..],
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"Q\0\0\0\x0dSELECT 1\0",
            b"Q\0\0\x10\0SELECT a, b, c FROM",
            b"P\0\0\0\x10\0SELECT 1\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(opinion(None, client), Opinion::FromClient, "{client:?}");
            assert_ne!(opinion(Some(Sender::Server), client), Opinion::FromClient, "{client:?}");
        }
        for server in [&b"Z\0\0\0\x05I"[..], b"2\0\0\0\x04D\0\0\0\x0b\0\x01\0\0\0\x011C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"] {
            assert_eq!(opinion(None, server), Opinion::FromServer, "{server:?}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        // Kafka: length, key 3 (metadata), version 0, a correlation, the client's name.
        assert_eq!(opinion(None, b"\0\0\0\x1c\0\x03\0\0\0\0\0\x01\0\x09client-01\0\0\0\0"), Opinion::No);
        for other in
            [&b"GET / HTTP/1.1\r\n"[..], b"QUIT\r\n", b"PING\r\n", b"\x16\x03\x01\x02\0\x01\0\x01", b"Q\0\0\0\x0dSELECT 1"]
        {
            let expected = if other.starts_with(b"Q\0") { Opinion::FromClient } else { Opinion::No };
            assert_eq!(opinion(None, other), expected, "{other:?}");
        }
    }
}
