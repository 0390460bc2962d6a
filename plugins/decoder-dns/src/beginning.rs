//! Whether a connection speaks DNS, by its first bytes.

use plugin_sdk::conversation::{Beginning, Opinion, Transport};

use crate::codes;
use crate::message::{HEADER, Message};
use crate::unread::Unread;

/// The port of DNS.
const PORT: u16 = 53;
/// Protocols that look like it: NetBIOS names, multicast DNS, LLMNR.
const OTHERS: [u16; 3] = [137, 5353, 5355];

/// An opinion about the first bytes that an end sent.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    if OTHERS.contains(&beginning.server_port) {
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
        // Its length came by itself.
        Err(Unread::Short) if beginning.transport == Transport::Tcp && (bytes.is_empty() || beginning.server_port == PORT) => {
            Opinion::Unsure
        }
        _ => Opinion::No,
    }
}

/// Nothing in it is unusual: other protocols may have any bytes in these places.
fn is_likely(message: &Message, bytes: &[u8]) -> bool {
    let Some((question, class)) = message.question else { return false };
    let Some(&[_, _, flags, more, q_high, q, _, _, n_high, n, x_high, x]) = bytes.first_chunk::<HEADER>() else { return false };
    let is_usual = matches!(class, 1 | 3 | 254 | 255)
        && codes::question(question) != "OTHER"
        && codes::opcode(message.opcode) != "OTHER"
        && more & 0x40 == 0
        && (q_high, q) == (0, 1);
    let is_bare =
        message.answers == 0 && (n_high, n) == (0, 0) && (x_high, x) <= (0, 2) && flags & 0x04 == 0 && more & 0x8f == 0;
    is_usual && (message.is_response || is_bare || message.opcode != 0)
}
