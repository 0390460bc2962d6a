//! Decides by its first bytes whether a connection speaks DNS.

use plugin_sdk::conversation::{Beginning, Description, Opinion, Signature, Transport};

use crate::message::{HEADER, Message};
use crate::name::ParseError;
use crate::vocabulary;

/// The port of DNS.
const PORT: u16 = 53;
/// Number of bytes of a call that are captured: the longest name, and the code behind it.
const CAPTURE_BYTES: u32 = 512;
/// Ports of protocols that look like DNS: NetBIOS names, multicast DNS, LLMNR.
const LOOKALIKE_PORTS: [u16; 3] = [137, 5353, 5355];

/// The ports and signatures by which the host finds connections.
pub(crate) fn description() -> Description {
    // One question of the usual kind, not an answer, with at most the record of EDNS behind it.
    const QUERY: [u8; 9] = [0, 0, 0, 1, 0, 0, 0, 0, 0];
    const QUERY_MASK: [u8; 9] = [0xf8, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    // One question that is answered.
    const ANSWER: [u8; 4] = [0x80, 0, 0, 1];
    const ANSWER_MASK: [u8; 4] = [0xf8, 0x40, 0xff, 0xff];
    let query = || Signature::client(&QUERY).masked(&QUERY_MASK);
    let answer = || Signature::server(&ANSWER).masked(&ANSWER_MASK);
    Description::new("dns")
        .on_port(53)
        .capture_bytes(CAPTURE_BYTES)
        .signature(query().at(2).udp().on_port(53).certain())
        .signature(query().at(4).tcp().on_port(53).certain())
        .signature(query().at(2).udp())
        .signature(query().at(4).tcp())
        .signature(answer().at(2).udp())
        .signature(answer().at(4).tcp())
}

/// Returns the opinion about the first bytes that an end sent.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    if LOOKALIKE_PORTS.contains(&beginning.server_port) {
        return Opinion::No;
    }
    let bytes = match (beginning.transport, beginning.payload) {
        (Transport::Udp, bytes) => bytes,
        (Transport::Tcp, [high, low, bytes @ ..]) => match usize::from(u16::from_be_bytes([*high, *low])) {
            length if length < HEADER || bytes.len() > length && beginning.server_port != PORT => return Opinion::No,
            _ => bytes,
        },
        (Transport::Tcp, _) => return Opinion::Unsure,
    };
    match Message::read(bytes, &mut Vec::new()) {
        Ok(message) if is_likely(&message, bytes) => match message.is_response {
            false => Opinion::FromClient,
            true => Opinion::FromServer,
        },
        // Its length came in a separate call.
        Err(ParseError::Truncated)
            if beginning.transport == Transport::Tcp && (bytes.is_empty() || beginning.server_port == PORT) =>
        {
            Opinion::Unsure
        }
        _ => Opinion::No,
    }
}

/// Whether the header has only usual values: other protocols may have any bytes there.
fn is_likely(message: &Message, bytes: &[u8]) -> bool {
    let Some((question, class)) = message.question else { return false };
    let Some(&[_, _, flags, more, q_high, q, _, _, n_high, n, x_high, x]) = bytes.first_chunk::<HEADER>() else { return false };
    let is_usual = matches!(class, 1 | 3 | 254 | 255)
        && vocabulary::question_type(question) != "OTHER"
        && vocabulary::opcode(message.opcode) != "OTHER"
        && more & 0x40 == 0
        && (q_high, q) == (0, 1);
    let is_bare =
        message.answers == 0 && (n_high, n) == (0, 0) && (x_high, x) <= (0, 2) && flags & 0x04 == 0 && more & 0x8f == 0;
    is_usual && (message.is_response || is_bare || message.opcode != 0)
}
