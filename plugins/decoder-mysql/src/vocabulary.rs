//! Commands by their codes: the form of the response to each, and the operation of its row.

use sql::Operation;

/// The form of the response to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// No response.
    Nothing,
    /// One packet.
    One,
    /// One packet, before which the server may request others: a change of user.
    Login,
    /// Results, each an `OK`, an error, or columns and rows.
    Results,
    /// Rows alone.
    Rows,
    /// The parameters and columns of a statement.
    Prepared,
    /// An endless stream.
    Stream,
}

/// Ends a session.
pub(crate) const QUIT: u8 = 0x01;
/// Selects another database.
pub(crate) const INIT_DB: u8 = 0x02;
/// Executes SQL.
pub(crate) const QUERY: u8 = 0x03;
/// Changes the user.
pub(crate) const CHANGE_USER: u8 = 0x11;
/// Prepares SQL.
pub(crate) const PREPARE: u8 = 0x16;
/// Executes a prepared statement.
pub(crate) const EXECUTE: u8 = 0x17;
/// Sends a part of a value.
pub(crate) const LONG_DATA: u8 = 0x18;
/// Closes a prepared statement.
pub(crate) const CLOSE: u8 = 0x19;
/// Fetches rows of a cursor.
pub(crate) const FETCH: u8 = 0x1c;
/// Resets the session, for the same user.
pub(crate) const RESET: u8 = 0x1f;
/// Executes a prepared statement with many values, MariaDB.
pub(crate) const BULK_EXECUTE: u8 = 0xfa;

/// Returns the form of the response to this command; None for an unknown command.
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

/// Returns the operation of a command without SQL; empty for commands that servers do not count as a question either.
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
