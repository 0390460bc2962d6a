//! Names of commands and replies; all others are `OTHER` or empty, because they come from the wire and are dimensions.

use plugin_sdk::scan::same;
use serde::{Deserialize, Serialize};

/// A command, by its index in [`NAMES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name(u8);

/// The code of a reply, by its index in [`CODES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code(u8);

// === impl Name ===

impl Name {
    /// An unknown command.
    pub(crate) const NONE: Self = Self(0);

    /// Returns the command that a line begins with; `OTHER` if it is unknown. Only lower-case letters, as in the server.
    #[inline]
    pub(crate) fn of(word: &[u8]) -> Self {
        let place = NAMES.iter().position(|name| same(name.as_bytes(), word));
        Self(place.unwrap_or_default() as u8)
    }

    /// Returns the command of a binary message, and whether it is a quiet one.
    pub(crate) fn of_opcode(opcode: u8) -> (Self, bool) {
        let (name, is_quiet) = match opcode {
            0x00 | 0x0c => ("get", false),
            0x09 | 0x0d => ("get", true),
            0x01 => ("set", false),
            0x11 => ("set", true),
            0x02 => ("add", false),
            0x12 => ("add", true),
            0x03 => ("replace", false),
            0x13 => ("replace", true),
            0x04 => ("delete", false),
            0x14 => ("delete", true),
            0x05 => ("incr", false),
            0x15 => ("incr", true),
            0x06 => ("decr", false),
            0x16 => ("decr", true),
            0x07 => ("quit", false),
            0x17 => ("quit", true),
            0x08 => ("flush_all", false),
            0x18 => ("flush_all", true),
            0x0a => ("noop", false),
            0x0b => ("version", false),
            0x0e => ("append", false),
            0x19 => ("append", true),
            0x0f => ("prepend", false),
            0x1a => ("prepend", true),
            0x10 => ("stats", false),
            0x1b => ("verbosity", false),
            0x1c => ("touch", false),
            0x1d | 0x23 => ("gat", false),
            0x1e | 0x24 => ("gat", true),
            0x20 => ("sasl_list_mechs", false),
            0x21 => ("sasl_auth", false),
            0x22 => ("sasl_step", false),
            _ => ("OTHER", false),
        };
        (Self::of(name.as_bytes()), is_quiet)
    }

    /// Returns the name, as the protocol defines it.
    pub(crate) fn text(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }
}

// === impl Code ===

impl Code {
    /// No known code.
    pub(crate) const NONE: Self = Self(0);

    /// Returns the code that a line begins with. The rest of the line is written by the server, and is not exported.
    #[inline]
    pub(crate) fn of(word: &[u8]) -> Self {
        let place = CODES.iter().position(|(code, _)| same(code.as_bytes(), word));
        Self(place.unwrap_or_default() as u8)
    }

    /// Returns the code for the status of a binary message.
    pub(crate) fn of_status(status: u16) -> Self {
        let code = match status {
            0x00 => "SUCCESS",
            0x01 => "KEY_ENOENT",
            0x02 => "KEY_EEXISTS",
            0x03 => "E2BIG",
            0x04 => "EINVAL",
            0x05 => "NOT_STORED",
            0x06 => "DELTA_BADVAL",
            0x07 => "NOT_MY_VBUCKET",
            0x20 => "AUTH_ERROR",
            0x21 => "AUTH_CONTINUE",
            0x81 => "UNKNOWN_COMMAND",
            0x82 => "ENOMEM",
            0x83 => "NOT_SUPPORTED",
            0x84 => "EINTERNAL",
            0x85 => "EBUSY",
            0x86 => "ETMPFAIL",
            _ => "OTHER",
        };
        Self::of(code.as_bytes())
    }

    /// Returns the word; empty for none.
    pub(crate) fn text(self) -> &'static str {
        CODES.get(usize::from(self.0)).map_or("", |(code, _)| code)
    }

    /// Whether this is an error. A key that does not exist is not an error.
    pub(crate) fn is_error(self) -> bool {
        CODES.get(usize::from(self.0)).is_some_and(|(_, is_error)| *is_error)
    }
}

/// First `OTHER`, then the usual ones.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "OTHER", "get", "set", "gets", "mg", "ms", "mn", "delete", "add", "incr", "decr", "touch", "cas", "replace", "append", "prepend",
    "gat", "gats", "md", "ma", "me", "noop", "version", "stats", "flush_all", "verbosity", "quit", "cache_memlimit", "config", "lru",
    "lru_crawler", "misbehave", "shutdown", "slabs", "sasl_auth", "sasl_list_mechs", "sasl_step", "watch",
];

/// First none, then the usual ones, each with whether it is an error.
#[rustfmt::skip]
const CODES: &[(&str, bool)] = &[
    ("", false), ("END", false), ("STORED", false), ("HD", false), ("VA", false), ("EN", false), ("NOT_FOUND", false),
    ("DELETED", false), ("NOT_STORED", false), ("EXISTS", false), ("TOUCHED", false), ("OK", false), ("NF", false), ("NS", false),
    ("EX", false), ("MN", false), ("ME", false), ("RESET", false),
    ("ERROR", true), ("CLIENT_ERROR", true), ("SERVER_ERROR", true), ("BUSY", true), ("BADCLASS", true), ("NOSPARE", true),
    ("NOTFULL", true), ("UNSAFE", true), ("SAME", true),
    ("SUCCESS", false), ("KEY_ENOENT", false), ("KEY_EEXISTS", false), ("AUTH_CONTINUE", false), ("E2BIG", true), ("EINVAL", true),
    ("DELTA_BADVAL", true), ("NOT_MY_VBUCKET", true), ("AUTH_ERROR", true), ("UNKNOWN_COMMAND", true), ("ENOMEM", true),
    ("NOT_SUPPORTED", true), ("EINTERNAL", true), ("EBUSY", true), ("ETMPFAIL", true), ("OTHER", true),
];

#[cfg(test)]
mod tests {
    use super::{Code, Name};

    #[test]
    fn words_are_those_of_the_protocol_and_no_others() {
        assert_eq!((Name::of(b"get").text(), Name::of(b"GET").text(), Name::of(b"hunter2").text()), ("get", "OTHER", "OTHER"));
        assert_eq!((Code::of(b"STORED").text(), Code::of(b"HUNTER").text()), ("STORED", ""));
        assert!(Code::of(b"SERVER_ERROR").is_error() && !Code::of(b"NOT_FOUND").is_error() && !Code::NONE.is_error());
    }

    #[test]
    fn every_opcode_and_status_has_a_word() {
        let names = (0..=u8::MAX).map(|opcode| Name::of_opcode(opcode).0.text());
        assert_eq!(names.filter(|name| *name != "OTHER").count(), 36);
        assert!((0..=u16::MAX).all(|status| !Code::of_status(status).text().is_empty()));
        assert_eq!((Name::of_opcode(0x0d).1, Code::of_status(0x999).text()), (true, "OTHER"));
    }
}
