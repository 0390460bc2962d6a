//! Handles the server's packets: greetings and responses.

use plugin_sdk::conversation::{Emit, Foreign};
use sql::Exchange;

use crate::connection::{Connection, Stage};
use crate::packet::{
    COMPRESSED, CURSOR_EXISTS, FULL, HEADER, MORE_RESULTS, Packet, parse_error, parse_greeting, parse_number, parse_status,
};
use crate::vocabulary::{self, Answer};
use crate::waiting::AnswerState;

/// Maximum length of a packet that is reassembled: ends of results, and errors. Of rows the first byte is enough.
const MAX_REASSEMBLED: usize = 512;
/// First byte of an `OK`.
const OK: u8 = 0;
/// First byte of a packet that ends rows.
const END: u8 = 0xfe;
/// First byte of an error.
const ERROR: u8 = 0xff;
/// First byte of a request for a file of the client.
const FILE: u8 = 0xfb;
/// The number of an error that is a progress report of MariaDB.
const PROGRESS: u16 = 0xffff;

/// Whether to wait for the rest of a packet.
pub(crate) const fn needs_whole(packet: &Packet<'_>) -> bool {
    packet.length <= MAX_REASSEMBLED || packet.body.is_empty()
}

/// Handles a packet at `at` to a client that is not logged in yet. The bytes behind it may be compressed.
pub(crate) fn handle_login_answer(connection: &mut Connection, packet: &Packet<'_>, at: usize) -> Result<(), Foreign> {
    if packet.number == 0
        && let Some(greeting) = parse_greeting(packet.body)
    {
        connection.is_mariadb = greeting.version.windows(7).any(|window| window == b"MariaDB");
        connection.offered = Some(greeting.capabilities);
        connection.modes.set_server_collation(greeting.collation);
        connection.stage = Stage::Login;
        connection.is_confirmed = true;
    } else if packet.number > 1 && packet.body.first() == Some(&OK) {
        connection.stage = Stage::Open;
        if connection.agreed & connection.offered.unwrap_or(u32::MAX) & COMPRESSED != 0 {
            return Err(Foreign::Behind(at + packet.length));
        }
        if let Some(status) = parse_status(packet.body) {
            connection.modes.set_status(status);
        }
    }
    Ok(())
}

/// Handles a packet of a session. `is_last` if it is the last of its call.
pub(crate) fn handle_packet(
    connection: &mut Connection,
    packet: &Packet<'_>,
    is_last: bool,
    time_ns: u64,
    rows: &mut Emit<'_, Exchange>,
) {
    let Some(front) = connection.waiting.front_mut() else { return };
    let Some(&first) = packet.body.first() else { return };
    let answer = vocabulary::answer(front.command).unwrap_or(Answer::One);
    if front.answer_state == AnswerState::File {
        front.answer_state = AnswerState::Result;
    }
    if let AnswerState::Before(number) = front.answer_state {
        if packet.number != number {
            return;
        }
        front.answer_state = match answer {
            Answer::Rows => AnswerState::Rows,
            Answer::Stream => AnswerState::Stream,
            _ => AnswerState::Result,
        };
    }
    // A packet of the maximum length does not end a result.
    let is_short = packet.length < FULL + HEADER;
    if first == ERROR && is_short {
        let Some(code) = parse_error(packet.body).filter(|code| *code != PROGRESS) else { return };
        front.code = Some(code.to_string().into());
        return connection.finish_front(time_ns, rows);
    }
    let is_end = first == END && is_short;
    let is_line = is_end && packet.body.len() == 5;
    let has_cursor = || parse_status(packet.body).is_some_and(|status| status & CURSOR_EXISTS != 0);
    match front.answer_state {
        AnswerState::Result => begin_result(connection, packet, first, answer, time_ns, rows),
        // Between parameters and columns.
        AnswerState::Columns(_) if is_line && answer == Answer::Prepared => {}
        AnswerState::Columns(1) if answer == Answer::Prepared => connection.finish_front(time_ns, rows),
        AnswerState::Columns(1) => front.answer_state = AnswerState::Line,
        AnswerState::Columns(left) => front.answer_state = AnswerState::Columns(left.saturating_sub(1)),
        AnswerState::Line if is_line && !has_cursor() => front.answer_state = AnswerState::Rows,
        AnswerState::Line | AnswerState::Rows if is_end => end_result(connection, parse_status(packet.body), time_ns, rows),
        AnswerState::Line | AnswerState::Rows => {
            front.answer_state = AnswerState::Rows;
            front.rows = front.rows.saturating_add(1);
        }
        // An EOF packet with packets behind it is the one before the rows.
        AnswerState::Lost if is_end && (is_last || !is_line) => {
            end_result(connection, parse_status(packet.body), time_ns, rows)
        }
        AnswerState::Stream => connection.emit_granted(time_ns, rows),
        AnswerState::Before(_) | AnswerState::File | AnswerState::Lost => {}
    }
}

/// Handles the first packet of a result, which gives its kind.
fn begin_result(
    connection: &mut Connection,
    packet: &Packet<'_>,
    first: u8,
    answer: Answer,
    time_ns: u64,
    rows: &mut Emit<'_, Exchange>,
) {
    let Some(front) = connection.waiting.front_mut() else { return };
    match (answer, first) {
        (Answer::One | Answer::Login, OK) => {
            let status = parse_status(packet.body);
            connection.finish_front(time_ns, rows);
            if let Some(status) = status {
                connection.modes.set_status(status);
            }
        }
        (Answer::One, _) => connection.finish_front(time_ns, rows),
        (Answer::Login, _) => {}
        (Answer::Prepared, OK) => {
            let [_, a, b, c, d, columns_low, columns_high, parameters_low, parameters_high, ..] = *packet.body else {
                return connection.finish_front(time_ns, rows);
            };
            let columns = u32::from(u16::from_le_bytes([columns_low, columns_high]));
            let parameters = u32::from(u16::from_le_bytes([parameters_low, parameters_high]));
            // A successful preparation has no row; a failed one has.
            front.is_emitted = true;
            front.answer_state = AnswerState::Columns(columns + parameters);
            if let Some(statement) = front.statement.clone() {
                connection.add_prepared(u32::from_le_bytes([a, b, c, d]), statement);
            }
            if columns + parameters == 0 {
                connection.finish_front(time_ns, rows);
            }
        }
        (_, OK | END) => end_result(connection, parse_status(packet.body), time_ns, rows),
        // The client sends the file, then the server reports the outcome.
        (_, FILE) => {
            front.answer_state = AnswerState::File;
            connection.begin_file(packet.number);
        }
        _ => {
            // For clients that cache the columns' metadata, one more byte says whether it is still valid.
            let (columns, is_known) = match parse_number(packet.body) {
                Some((columns, [0])) => (columns, true),
                Some((columns, _)) => (columns, false),
                None => (0, false),
            };
            let columns = u32::try_from(columns).unwrap_or(u32::MAX);
            front.answer_state = if columns == 0 || is_known { AnswerState::Line } else { AnswerState::Columns(columns) };
        }
    }
}

/// Ends a result, and with it the response unless another result follows.
fn end_result(connection: &mut Connection, status: Option<u16>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    match connection.waiting.front_mut() {
        Some(front) if status.is_some_and(|status| status & MORE_RESULTS != 0) => front.answer_state = AnswerState::Result,
        _ => connection.finish_front(time_ns, rows),
    }
    if let Some(status) = status {
        connection.modes.set_status(status);
    }
}
