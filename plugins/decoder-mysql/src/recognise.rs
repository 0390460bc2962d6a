//! Decides by its first bytes whether a connection speaks MySQL.

use plugin_sdk::conversation::{Beginning, Description, Opinion, Sender, Signature};
use sql::Operation;

use crate::packet::{HEADER, Packet, parse_greeting, parse_login, parse_packet, parse_query};
use crate::vocabulary::{EXECUTE, PREPARE, QUERY};

/// Number of bytes of a call that are captured: a result is 16 KiB of rows, of which only the length matters; a statement is mostly
/// shorter.
const CAPTURE_BYTES: u32 = 1024;

/// The ports and signatures by which the host finds connections.
pub(crate) fn description() -> Description {
    let greeting = Signature::server(&[0, 0, 0, 0, 10]).masked(&[0, 255, 255, 255, 255]);
    // The plaintext of an encrypted session begins with the login, in which 19 bytes are 0.
    let login = Signature::client(&[0; 19]).at(13);
    let mut description = Description::new("mysql").on_port(3306).capture_bytes(CAPTURE_BYTES);
    for signature in [greeting, login] {
        description = description.signature(signature.tcp());
    }
    // Sessions older than the host begin with any command.
    for command in [QUERY, PREPARE, EXECUTE] {
        description = description.signature(Signature::client(&[0, command]).at(3).tcp());
    }
    description
}

/// Returns the opinion about the first bytes that an end sent.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    let may_be = |sender| beginning.sender.is_none_or(|known| known == sender);
    let Some(packet) = parse_packet(beginning.payload) else { return Opinion::Unsure };
    // Servers read a header separately, and then the rest.
    if packet.body.is_empty() && packet.length > HEADER && packet.number <= 2 {
        return Opinion::Unsure;
    }
    if may_be(Sender::Server) && packet.number == 0 && parse_greeting(packet.body).is_some() {
        return Opinion::FromServer;
    }
    if may_be(Sender::Client) && (is_login(&packet) || is_command(&packet)) {
        return Opinion::FromClient;
    }
    Opinion::No
}

fn is_login(packet: &Packet<'_>) -> bool {
    matches!(packet.number, 1 | 2) && parse_login(packet.body).is_some()
}

/// Whether this is a statement, by its first word.
pub(crate) fn is_command(packet: &Packet<'_>) -> bool {
    let Some((&code, body)) = packet.body.split_first().filter(|_| packet.number == 0) else { return false };
    match code {
        QUERY | PREPARE => {
            let Some((sql, _)) = parse_query(body, None) else { return false };
            let sql = sql.trim_ascii_start();
            let word = sql.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
            sql.starts_with(b"/*") || !matches!(Operation::named(word).name(), "" | "_OTHER")
        }
        // Behind statement and flags: the iteration count, which is 1.
        EXECUTE => body.get(5..9) == Some(&[1, 0, 0, 0]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conversation::{Beginning, Opinion, Sender, Transport};

    use super::recognise;

    fn opinion(sender: Option<Sender>, payload: &[u8]) -> Opinion {
        recognise(&Beginning { server_port: 3306, sender, transport: Transport::Tcp, payload })
    }

    #[test]
    fn a_session_is_recognised_from_its_start_and_from_its_middle() {
        let hello = b"\x4a\0\0\0\x0a8.0.36\0\x07\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15";
        assert_eq!(opinion(None, hello), Opinion::FromServer);
        assert_eq!(opinion(Some(Sender::Client), hello), Opinion::No);
        let login = [&b"\x50\0\0\x02\x85\xa2\x1a\0\0\0\0\x01\x2d"[..], &[0; 23], b"app\0"].concat();
        for client in
            [&login[..], b"\x09\0\0\0\x03SELECT 1", b"\x0b\0\0\0\x03\0\x01select 1", b"\x0a\0\0\0\x17\x01\0\0\0\0\x01\0\0\0"]
        {
            assert_eq!(opinion(None, client), Opinion::FromClient, "{client:?}");
            assert_eq!(opinion(Some(Sender::Server), client), Opinion::No, "{client:?}");
        }
        assert_eq!(opinion(None, b"\x09\0"), Opinion::Unsure);
        assert_eq!(opinion(None, b"\x09\0\0\0"), Opinion::Unsure);
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        for other in
            [&b"GET / HTTP/1.1\r\n"[..], b"*1\r\n$4\r\nPING\r\n", b"\x09\0\0\0\x03sausages", b"\x09\0\0\0\x0aabcdefg\0"]
        {
            assert_eq!(opinion(None, other), Opinion::No, "{other:?}");
        }
    }
}
