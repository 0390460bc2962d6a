//! What servers send.

use plugin_sdk::conversation::{Emit, Foreign};
use sql::Exchange;

use crate::command::{self, Answer};
use crate::packet::{COMPRESSED, CURSOR_EXISTS, FULL, HEADER, MORE_RESULTS, Packet, error, greeting, number, status};
use crate::session::{Place, Session, Stage};

/// A packet that comes in parts is waited for if it is no longer: what ends a result, and errors. Of rows the first byte will do.
const WAITED_FOR: usize = 512;
/// First byte of an `OK`.
const OK: u8 = 0;
/// First byte of what ends rows.
const END: u8 = 0xfe;
/// First byte of an error.
const ERROR: u8 = 0xff;
/// First byte where a file of the client is asked for.
const FILE: u8 = 0xfb;
/// An error of this number says how far MariaDB has come.
const PROGRESS: u16 = 0xffff;

/// Whether to wait for the rest of a packet.
pub(crate) const fn is_waited_for(packet: &Packet<'_>) -> bool {
    packet.length <= WAITED_FOR || packet.body.is_empty()
}

/// A packet to a client that is not let in yet, which begins at `at`. What follows may be compressed.
pub(crate) fn enter(session: &mut Session, packet: &Packet<'_>, at: usize) -> Result<(), Foreign> {
    if packet.number == 0
        && let Some(greeting) = greeting(packet.body)
    {
        session.is_mariadb = greeting.version.windows(7).any(|window| window == b"MariaDB");
        session.offered = Some(greeting.capabilities);
        session.modes.greet(greeting.collation);
        session.stage = Stage::Login;
        session.is_proven = true;
    } else if packet.number > 1 && packet.body.first() == Some(&OK) {
        session.stage = Stage::Open;
        if session.agreed & session.offered.unwrap_or(u32::MAX) & COMPRESSED != 0 {
            return Err(Foreign::Behind(at + packet.length));
        }
        if let Some(status) = status(packet.body) {
            session.modes.answer(status);
        }
    }
    Ok(())
}

/// A packet of a session. `is_last` says that nothing of the same call stands behind it.
pub(crate) fn packet(session: &mut Session, packet: &Packet<'_>, is_last: bool, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    let Some(front) = session.waiting.front_mut() else { return };
    let Some(&first) = packet.body.first() else { return };
    let answer = command::answer(front.command).unwrap_or(Answer::One);
    if front.place == Place::File {
        front.place = Place::Result;
    }
    if let Place::Before(number) = front.place {
        if packet.number != number {
            return;
        }
        front.place = match answer {
            Answer::Rows => Place::Rows,
            Answer::Stream => Place::Stream,
            _ => Place::Result,
        };
    }
    // A packet as long as they get is no end of anything.
    let is_short = packet.length < FULL + HEADER;
    if first == ERROR && is_short {
        let Some(code) = error(packet.body).filter(|code| *code != PROGRESS) else { return };
        front.code = Some(code.to_string().into());
        return session.done(time_ns, rows);
    }
    let is_end = first == END && is_short;
    let is_line = is_end && packet.body.len() == 5;
    let has_cursor = || status(packet.body).is_some_and(|status| status & CURSOR_EXISTS != 0);
    match front.place {
        Place::Result => first_of_result(session, packet, first, answer, time_ns, rows),
        // Between parameters and columns.
        Place::Columns(_) if is_line && answer == Answer::Prepared => {}
        Place::Columns(1) if answer == Answer::Prepared => session.done(time_ns, rows),
        Place::Columns(1) => front.place = Place::Line,
        Place::Columns(left) => front.place = Place::Columns(left.saturating_sub(1)),
        Place::Line if is_line && !has_cursor() => front.place = Place::Rows,
        Place::Line | Place::Rows if is_end => end_of_result(session, status(packet.body), time_ns, rows),
        Place::Line | Place::Rows => {
            front.place = Place::Rows;
            front.rows = front.rows.saturating_add(1);
        }
        // A line with packets behind it is that before the rows.
        Place::Lost if is_end && (is_last || !is_line) => end_of_result(session, status(packet.body), time_ns, rows),
        Place::Stream => session.grant(time_ns, rows),
        Place::Before(_) | Place::File | Place::Lost => {}
    }
}

/// The packet that says what a result is.
fn first_of_result(
    session: &mut Session,
    packet: &Packet<'_>,
    first: u8,
    answer: Answer,
    time_ns: u64,
    rows: &mut Emit<'_, Exchange>,
) {
    let Some(front) = session.waiting.front_mut() else { return };
    match (answer, first) {
        (Answer::One | Answer::Login, OK) => {
            let status = status(packet.body);
            session.done(time_ns, rows);
            if let Some(status) = status {
                session.modes.answer(status);
            }
        }
        (Answer::One, _) => session.done(time_ns, rows),
        (Answer::Login, _) => {}
        (Answer::Prepared, OK) => {
            let [_, a, b, c, d, columns_low, columns_high, parameters_low, parameters_high, ..] = *packet.body else {
                return session.done(time_ns, rows);
            };
            let columns = u32::from(u16::from_le_bytes([columns_low, columns_high]));
            let parameters = u32::from(u16::from_le_bytes([parameters_low, parameters_high]));
            // That it was prepared is no row; that it could not be is one.
            front.is_told = true;
            front.place = Place::Columns(columns + parameters);
            if let Some(statement) = front.statement.clone() {
                session.prepared(u32::from_le_bytes([a, b, c, d]), statement);
            }
            if columns + parameters == 0 {
                session.done(time_ns, rows);
            }
        }
        (_, OK | END) => end_of_result(session, status(packet.body), time_ns, rows),
        // The client sends the file, then the server says how that went.
        (_, FILE) => {
            front.place = Place::File;
            session.ask_file(packet.number);
        }
        _ => {
            // Clients that keep what they know of columns are told, in one more byte, whether it holds.
            let (columns, is_known) = match number(packet.body) {
                Some((columns, [0])) => (columns, true),
                Some((columns, _)) => (columns, false),
                None => (0, false),
            };
            let columns = u32::try_from(columns).unwrap_or(u32::MAX);
            front.place = if columns == 0 || is_known { Place::Line } else { Place::Columns(columns) };
        }
    }
}

/// A result is over, and with it the answer unless another follows.
fn end_of_result(session: &mut Session, status: Option<u16>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    match session.waiting.front_mut() {
        Some(front) if status.is_some_and(|status| status & MORE_RESULTS != 0) => front.place = Place::Result,
        _ => session.done(time_ns, rows),
    }
    if let Some(status) = status {
        session.modes.answer(status);
    }
}
