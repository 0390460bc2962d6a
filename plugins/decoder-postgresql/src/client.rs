//! What clients send.

use plugin_sdk::conversation::{Data, Emit, Foreign};
use sql::{Exchange, Library, Operation};

use crate::message::{Message, Opening, database, opening, text};
use crate::session::{Session, Stage};

/// A message that comes in parts is waited for if it is no longer than this and its text matters; of a longer one the first part
/// will do.
const WAITED_FOR: usize = 4096;

/// The first packet, which has no type; how many bytes it is, 0 if it takes more to tell.
pub(crate) fn open(session: &mut Session, data: &Data<'_>) -> Result<usize, Foreign> {
    match opening(data.bytes) {
        Opening::Short => Ok(0),
        Opening::Encryption => {
            session.stage = Stage::Asking;
            Ok(8)
        }
        Opening::Cancel => Ok(data.bytes.len()),
        Opening::Startup { parameters, length } => {
            if parameters.len() + 8 < length && data.missing == 0 {
                return Ok(0);
            }
            session.database =
                Some(String::from_utf8_lossy(database(parameters)).into()).filter(|name: &std::rc::Rc<str>| !name.is_empty());
            session.stage = Stage::Open;
            session.client.in_step = true;
            session.is_proven = true;
            Ok(length)
        }
        // What is in the middle of a session when it is first seen has no packet of this kind, and no message begins with 0.
        Opening::Other if data.bytes.first() == Some(&0) && !session.client.has_missed => Err(Foreign::Whole),
        Opening::Other => {
            session.stage = Stage::Open;
            Ok(0)
        }
    }
}

/// Whether to wait for the rest of a message.
pub(crate) const fn is_waited_for(message: &Message<'_>) -> bool {
    match message.tag {
        b'Q' | b'P' | b'B' => message.length <= WAITED_FOR,
        b'E' | b'C' | b'D' => true,
        _ => false,
    }
}

/// A message that begins at `at`.
pub(crate) fn message(
    session: &mut Session,
    library: &mut Library,
    message: &Message<'_>,
    (data, at): (&Data<'_>, usize),
    rows: &mut Emit<'_, Exchange>,
) {
    let began = data.began(at);
    let is_cut = message.body.len() + 5 < message.length;
    let dialect = session.dialect();
    if matches!(message.tag, b'Q' | b'P' | b'B' | b'E' | b'F') {
        session.close_answered(rows);
    }
    match message.tag {
        b'Q' => {
            let reading = library.read(text(message.body).0, dialect, is_cut);
            session.ask_query(began, reading.statement, reading.trace_parent, rows);
        }
        b'P' => {
            let (name, rest) = text(message.body);
            let reading = library.read(text(rest).0, dialect, is_cut);
            session.half.parent = reading.trace_parent.map(Box::from);
            session.half.statement = Some(reading.statement.clone());
            session.half.began.get_or_insert(began);
            session.ask_parse(began, name, reading.statement, rows);
        }
        b'B' => {
            let (portal, rest) = text(message.body);
            let (name, _) = text(rest);
            session.half.began.get_or_insert(began);
            session.half.statement = session.statements.get(name);
            match session.half.statement.clone() {
                Some(statement) => drop(session.portals.put(portal, statement)),
                None => session.portals.remove(portal),
            }
        }
        b'E' => session.ask_execute(began, text(message.body).0, rows),
        b'S' => session.ask_sync(began, rows),
        b'c' | b'f' => session.end_copy(began),
        b'F' => session.ask_query(began, library.bare(Operation::named(b"FUNCTION")), None, rows),
        b'C' => match message.body.split_first() {
            Some((b'S', name)) => session.statements.remove(text(name).0),
            Some((b'P', name)) => session.portals.remove(text(name).0),
            _ => {}
        },
        _ => {}
    }
}
