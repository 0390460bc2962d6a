//! How a server reads text, as far as it is known: the SQL mode, and the client's character set.

use serde::{Deserialize, Serialize};
use sql::{Backslash, Dialect, Statement};

use crate::packet::{NO_BACKSLASH_ESCAPES, is_wide};

/// How the server reads the client's text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Modes {
    /// Whether a backslash is an ordinary character: `NO_BACKSLASH_ESCAPES`; None if no status with it was seen.
    is_plain: Option<bool>,
    /// Whether characters may end in an ASCII byte; None if the character set is not known.
    is_wide: Option<bool>,
    /// The same for the server's own character set, which it may enforce.
    server_is_wide: Option<bool>,
}

/// The change that a command makes to the character set.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// No change.
    #[default]
    None,
    /// The new one has no characters that end in an ASCII byte.
    Narrow,
    /// The new one is another, or not known.
    Unknown,
    /// The server's own.
    Reset,
}

// === impl Modes ===

impl Modes {
    /// Returns how a text is read. `is_sure` if no command that may change it is waiting.
    pub(crate) fn dialect(&self, is_sure: bool) -> Dialect {
        let backslash = match self.is_plain.filter(|_| is_sure) {
            Some(true) => Backslash::Plain,
            Some(false) => Backslash::Escapes,
            None => Backslash::Unknown,
        };
        Dialect::MySql { backslash, is_wide: self.is_wide.filter(|_| is_sure).unwrap_or(true) }
    }

    /// Sets the server's own collation.
    pub(crate) const fn set_server_collation(&mut self, collation: u8) {
        self.server_is_wide = Some(is_wide(collation));
    }

    /// Sets the client's collation; a server may be configured to use its own instead.
    pub(crate) fn set_client_collation(&mut self, collation: u8) {
        self.is_wide = Some(is_wide(collation)).filter(|_| self.server_is_wide != Some(true));
    }

    /// Sets the mode from the status of a response.
    pub(crate) const fn set_status(&mut self, status: u16) {
        self.is_plain = Some(status & NO_BACKSLASH_ESCAPES != 0);
    }

    /// Applies the change of a command that was answered.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::None => {}
            Change::Narrow => self.is_wide = Some(false),
            Change::Unknown => self.is_wide = None,
            Change::Reset => self.is_wide = self.server_is_wide.filter(|is_wide| !is_wide),
        }
    }

    /// Forgets the status because a response was missed; the next response has it.
    pub(crate) const fn forget_status(&mut self) {
        self.is_plain = None;
    }

    /// Forgets the character set because a command was missed that may have changed it, which no response reports.
    pub(crate) const fn forget_collation(&mut self) {
        self.is_wide = None;
    }
}

// === impl Change ===

impl Change {
    /// Returns the change that a change of user makes, by the number of the collation.
    pub(crate) fn of_user(collation: Option<u8>) -> Self {
        if collation.is_some_and(|collation| !is_wide(collation)) { Self::Narrow } else { Self::Unknown }
    }

    /// Returns the change that a text makes. `may_set` if it may be more than a query.
    pub(crate) fn of(sql: &[u8], is_cut: bool, may_set: bool) -> Self {
        /// Words in statements that set a character set, or run another statement that does.
        const MARKS: [&[u8]; 4] = [b"names", b"char", b"execute", b"call"];
        /// Prefixes of character sets in which no character ends in an ASCII byte.
        const NARROW: [&[u8]; 9] = [b"utf8", b"latin", b"ascii", b"binary", b"ujis", b"euc", b"cp125", b"koi8", b"gb2312"];
        /// Words that leave the character set unknown, or change it to a wide one.
        const DOUBTFUL: [&[u8]; 9] = [b"gbk", b"gb18030", b"big5", b"sjis", b"cp932", b"default", b"@", b"execute", b"call"];
        let has =
            |words: &[&[u8]]| words.iter().any(|word| sql.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word)));
        match may_set {
            false => Self::None,
            true if is_cut => Self::Unknown,
            true if !has(&MARKS) => Self::None,
            true if has(&NARROW) && !has(&DOUBTFUL) => Self::Narrow,
            true => Self::Unknown,
        }
    }

    /// Returns the change that the execution of a prepared statement makes.
    pub(crate) fn of_prepared(statement: Option<&Statement>) -> Self {
        match statement {
            Some(statement) => Self::of(statement.text.as_bytes(), false, statement.may_set),
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Change;

    #[test]
    fn a_character_set_is_known_if_all_that_is_said_of_it_is() {
        let of = |sql: &str| Change::of(sql.as_bytes(), false, true);
        assert_eq!(of("SET NAMES utf8mb4"), Change::Narrow);
        assert_eq!(of("SET character_set_client = 'latin1'"), Change::Narrow);
        assert_eq!(of("SET autocommit = 0"), Change::None);
        for sql in [
            "SET NAMES gbk",
            "set names DEFAULT",
            "SET NAMES ?",
            "EXECUTE s",
            "SET CHARSET @a",
            "SET NAMES utf8; SET NAMES sjis",
        ] {
            assert_eq!(of(sql), Change::Unknown, "{sql}");
        }
        assert_eq!(Change::of(b"SET NAMES utf8mb4", true, true), Change::Unknown, "what follows may set another");
        assert_eq!(Change::of(b"SELECT names FROM t", false, false), Change::None);
    }
}
