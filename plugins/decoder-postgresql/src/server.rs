//! Handles the server's responses.

use plugin_sdk::conversation::{Data, Emit, Foreign};
use sql::Exchange;

use crate::connection::{Connection, Stage};
use crate::message::{Message, parse_sqlstate, split_text};

/// Maximum length of an error that is reassembled: its code is near the start.
const MAX_REASSEMBLED: usize = 1024;

/// Handles the byte that answers a client that asked for encryption.
pub(crate) fn handle_encryption_answer(connection: &mut Connection, first: u8) -> Result<usize, Foreign> {
    connection.stage = Stage::New;
    match first {
        // TLS or GSSAPI follows: its plaintext, if it can be read, comes as a conversation of its own.
        b'S' | b'G' => Err(Foreign::Behind(1)),
        b'N' => Ok(1),
        // Servers older than this request answer with an error.
        _ => Ok(0),
    }
}

/// Whether to wait for the rest of a message.
pub(crate) const fn needs_whole(message: &Message<'_>) -> bool {
    match message.tag {
        b'Z' | b'C' => true,
        b'E' | b'S' => message.length <= MAX_REASSEMBLED,
        _ => false,
    }
}

/// Handles a message.
pub(crate) fn handle_message(
    connection: &mut Connection,
    message: &Message<'_>,
    data: &Data<'_>,
    rows: &mut Emit<'_, Exchange>,
) {
    match message.tag {
        b'1' => connection.handle_parse_complete(),
        b'C' => connection.handle_command_complete(message.body, data.time_ns, rows),
        b'I' | b's' | b'V' => connection.handle_command_complete(b"", data.time_ns, rows),
        b'G' => connection.handle_copy_in(),
        b'E' => connection.handle_error(parse_sqlstate(message.body), data.time_ns, rows),
        b'Z' => connection.handle_ready(data.time_ns, rows),
        b'W' => connection.handle_copy_both(data.time_ns, rows),
        b'S' => {
            let (name, rest) = split_text(message.body);
            connection.set_parameter(name, split_text(rest).0);
        }
        _ => {}
    }
}
