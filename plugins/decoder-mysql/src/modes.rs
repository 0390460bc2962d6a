//! What is known of how a server reads text: the SQL mode, and the client's character set.

use serde::{Deserialize, Serialize};
use sql::{Backslash, Dialect, Statement};

use crate::packet::{NO_BACKSLASH_ESCAPES, is_wide};

/// How the server reads what the client says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Modes {
    /// A backslash is a backslash: `NO_BACKSLASH_ESCAPES`; None if no status was seen that says so.
    is_plain: Option<bool>,
    /// Characters may end in an ASCII sign; None if the character set is not known.
    is_wide: Option<bool>,
    /// The same of the server's own character set, which it may insist on.
    server_is_wide: Option<bool>,
}

/// What a command does to the character set.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// Nothing.
    #[default]
    None,
    /// It becomes one in which all signs are what they seem.
    Narrow,
    /// It becomes another, or one that is not known.
    Unknown,
    /// It becomes that of the server.
    Reset,
}

// === impl Modes ===

impl Modes {
    /// How a text is read. `is_sure` if nothing that may change that is on its way.
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

    /// Sets what the status of an answer says.
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

    /// Forgets the status: an answer was missed; the next one says it.
    pub(crate) const fn forget_status(&mut self) {
        self.is_plain = None;
    }

    /// Forgets the character set: a command was missed that may have changed it, and no answer says so.
    pub(crate) const fn forget_collation(&mut self) {
        self.is_wide = None;
    }
}

// === impl Change ===

impl Change {
    /// What a user's change does, by the number of the collation.
    pub(crate) fn of_user(collation: Option<u8>) -> Self {
        if collation.is_some_and(|collation| !is_wide(collation)) { Self::Narrow } else { Self::Unknown }
    }

    /// What a text does. `may_set` if it is more than a query.
    pub(crate) fn of(sql: &[u8], is_cut: bool, may_set: bool) -> Self {
        /// What stands in a statement that sets a character set, or runs another that does.
        const MARKS: [&[u8]; 4] = [b"names", b"char", b"execute", b"call"];
        /// Character sets, by how their names begin, in which all signs are what they seem.
        const NARROW: [&[u8]; 9] = [b"utf8", b"latin", b"ascii", b"binary", b"ujis", b"euc", b"cp125", b"koi8", b"gb2312"];
        /// What says nothing, or the contrary.
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

    /// What the execution of a prepared statement does.
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
