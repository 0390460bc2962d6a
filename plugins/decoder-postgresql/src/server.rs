//! What servers send.

use plugin_sdk::conversation::{Data, Emit, Foreign};
use sql::Exchange;

use crate::message::{Message, sqlstate, text};
use crate::session::{Session, Stage};

/// Of an error that comes in parts so much is waited for: its code stands near the start.
const WAITED_FOR: usize = 1024;

/// The byte that answers a client who asked for encryption.
pub(crate) fn answer(session: &mut Session, first: u8) -> Result<usize, Foreign> {
    session.stage = Stage::New;
    match first {
        // From here on it is TLS, or GSSAPI: whoever can read that brings the plaintext as a conversation of its own.
        b'S' | b'G' => Err(Foreign::Behind(1)),
        b'N' => Ok(1),
        // Servers older than that question answer with an error.
        _ => Ok(0),
    }
}

/// Whether to wait for the rest of a message.
pub(crate) const fn is_waited_for(message: &Message<'_>) -> bool {
    match message.tag {
        b'Z' | b'C' => true,
        b'E' | b'S' => message.length <= WAITED_FOR,
        _ => false,
    }
}

/// A message.
pub(crate) fn message(session: &mut Session, message: &Message<'_>, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
    match message.tag {
        b'1' => session.parsed(),
        b'C' => session.complete(message.body, data.time_ns, rows),
        b'I' | b's' | b'V' => session.complete(b"", data.time_ns, rows),
        b'G' => session.copy_in(),
        b'E' => session.fail(sqlstate(message.body), data.time_ns, rows),
        b'Z' => session.ready(data.time_ns, rows),
        b'W' => session.stream(data.time_ns, rows),
        b'S' => {
            let (name, rest) = text(message.body);
            session.learn(name, text(rest).0);
        }
        _ => {}
    }
}
