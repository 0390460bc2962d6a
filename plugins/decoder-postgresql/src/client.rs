//! Handles the client's bytes: the first packet, and messages.

use plugin_sdk::conversation::{Data, Emit, Foreign};
use sql::{Exchange, Library, Operation};

use crate::connection::{Connection, Stage};
use crate::message::{Message, Opening, parse_database, parse_opening, split_text};

/// Maximum length of a message that is reassembled because its text matters; of a longer one the first part is enough.
const MAX_REASSEMBLED: usize = 4096;

/// Handles the first packet, which has no type; returns its length, 0 if more bytes are needed to decide.
pub(crate) fn handle_opening(connection: &mut Connection, data: &Data<'_>) -> Result<usize, Foreign> {
    match parse_opening(data.bytes) {
        Opening::Short => Ok(0),
        Opening::Encryption => {
            connection.stage = Stage::Asking;
            Ok(8)
        }
        Opening::Cancel => Ok(data.bytes.len()),
        Opening::Startup { parameters, length } => {
            if parameters.len() + 8 < length && data.missing == 0 {
                return Ok(0);
            }
            connection.database = Some(String::from_utf8_lossy(parse_database(parameters)).into())
                .filter(|name: &std::rc::Rc<str>| !name.is_empty());
            connection.stage = Stage::Open;
            connection.client.is_synced = true;
            connection.is_confirmed = true;
            Ok(length)
        }
        // A session that is first seen in the middle has no packet of this kind, and messages do not begin with 0.
        Opening::Other if data.bytes.first() == Some(&0) && !connection.client.has_gap => Err(Foreign::Whole),
        Opening::Other => {
            connection.stage = Stage::Open;
            Ok(0)
        }
    }
}

/// Whether to wait for the rest of a message.
pub(crate) const fn needs_whole(message: &Message<'_>) -> bool {
    match message.tag {
        b'Q' | b'P' | b'B' => message.length <= MAX_REASSEMBLED,
        b'E' | b'C' | b'D' => true,
        _ => false,
    }
}

/// Handles a message that begins at `at`.
pub(crate) fn handle_message(
    connection: &mut Connection,
    library: &mut Library,
    message: &Message<'_>,
    (data, at): (&Data<'_>, usize),
    rows: &mut Emit<'_, Exchange>,
) {
    let began = data.began(at);
    let is_cut = message.body.len() + 5 < message.length;
    let dialect = connection.dialect();
    if matches!(message.tag, b'Q' | b'P' | b'B' | b'E' | b'F') {
        connection.close_answered(rows);
    }
    match message.tag {
        b'Q' => {
            let reading = library.read(split_text(message.body).0, dialect, is_cut);
            connection.add_query(began, reading.statement, reading.trace_parent, rows);
        }
        b'P' => {
            let (name, rest) = split_text(message.body);
            let reading = library.read(split_text(rest).0, dialect, is_cut);
            connection.next_execution.parent = reading.trace_parent.map(Box::from);
            connection.next_execution.statement = Some(reading.statement.clone());
            connection.next_execution.began.get_or_insert(began);
            connection.add_parse(began, name, reading.statement, rows);
        }
        b'B' => {
            let (portal, rest) = split_text(message.body);
            let (name, _) = split_text(rest);
            connection.next_execution.began.get_or_insert(began);
            connection.next_execution.statement = connection.statements.get(name);
            match connection.next_execution.statement.clone() {
                Some(statement) => drop(connection.portals.put(portal, statement)),
                None => connection.portals.remove(portal),
            }
        }
        b'E' => connection.add_execute(began, split_text(message.body).0, rows),
        b'S' => connection.add_sync(began, rows),
        b'c' | b'f' => connection.end_copy(began),
        b'F' => connection.add_query(began, library.bare(Operation::named(b"FUNCTION")), None, rows),
        b'C' => match message.body.split_first() {
            Some((b'S', name)) => connection.statements.remove(split_text(name).0),
            Some((b'P', name)) => connection.portals.remove(split_text(name).0),
            _ => {}
        },
        _ => {}
    }
}
