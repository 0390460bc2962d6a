//! Commands by their codes: how each is answered, and the operation that a row names.

use sql::Operation;

/// How a command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Without an answer.
    Nothing,
    /// With one packet.
    One,
    /// With one packet, before which others may be asked for: a change of user.
    Login,
    /// With results, each an `OK`, an error, or columns and rows.
    Results,
    /// With rows alone.
    Rows,
    /// With the shape of a statement.
    Prepared,
    /// Without end.
    Stream,
}

/// A session ends.
pub(crate) const QUIT: u8 = 0x01;
/// Another database.
pub(crate) const INIT_DB: u8 = 0x02;
/// SQL.
pub(crate) const QUERY: u8 = 0x03;
/// Another user.
pub(crate) const CHANGE_USER: u8 = 0x11;
/// SQL to be prepared.
pub(crate) const PREPARE: u8 = 0x16;
/// A prepared statement.
pub(crate) const EXECUTE: u8 = 0x17;
/// A part of a value.
pub(crate) const LONG_DATA: u8 = 0x18;
/// A prepared statement is not needed any more.
pub(crate) const CLOSE: u8 = 0x19;
/// Rows of a cursor.
pub(crate) const FETCH: u8 = 0x1c;
/// The session begins anew, for the same user.
pub(crate) const RESET: u8 = 0x1f;
/// A prepared statement with many values, MariaDB.
pub(crate) const BULK_EXECUTE: u8 = 0xfa;

/// How this command is answered; None for what is none.
pub(crate) const fn answer(command: u8) -> Option<Answer> {
    Some(match command {
        QUIT | LONG_DATA | CLOSE => Answer::Nothing,
        // Sleep, statistics, debug, ping, time, delayed insert, replica, reset, option, reset, daemon.
        0x00 | 0x05..=0x09 | 0x0b..=0x10 | 0x14 | 0x15 | 0x1a | 0x1b | 0x1d | RESET | INIT_DB => Answer::One,
        CHANGE_USER => Answer::Login,
        QUERY | EXECUTE | BULK_EXECUTE | 0x0a => Answer::Results,
        0x04 | FETCH => Answer::Rows,
        PREPARE => Answer::Prepared,
        0x12 | 0x13 | 0x1e => Answer::Stream,
        _ => return None,
    })
}

/// What a command does that brings no SQL; empty for what servers do not count as a question either.
pub(crate) fn operation(command: u8) -> Operation {
    Operation::named(match command {
        INIT_DB => b"USE",
        0x04 | 0x0a => b"SHOW",
        0x05 => b"CREATE",
        0x06 => b"DROP",
        0x07 => b"FLUSH",
        0x08 => b"SHUTDOWN",
        0x0c => b"KILL",
        0x12 | 0x1e => b"BINLOG",
        _ => b"",
    })
}
