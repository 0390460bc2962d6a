//! The operation of a statement: its first word, if servers know it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of an operation, such as `SELECT`; empty if it is unknown. One of a fixed set, so that a peer cannot increase the cardinality
/// of metrics with invented words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operation(&'static str);

/// The name of a word that is not in [`KNOWN`].
const OTHER: &str = "_OTHER";

/// The first words of statements, of both servers, and the commands that are not SQL; sorted.
#[rustfmt::skip]
const KNOWN: [&str; 73] = [
    "ABORT", "ALTER", "ANALYZE", "BEGIN", "BINLOG", "CACHE", "CALL", "CHANGE", "CHECK", "CHECKPOINT", "CHECKSUM", "CLOSE",
    "CLUSTER", "COMMENT", "COMMIT", "COPY", "CREATE", "DEALLOCATE", "DECLARE", "DELETE", "DESC", "DESCRIBE", "DISCARD", "DO",
    "DROP", "END", "EXECUTE", "EXPLAIN", "FETCH", "FLUSH", "FUNCTION", "GRANT", "HANDLER", "HELP", "IMPORT", "INSERT",
    "INSTALL", "KILL", "LISTEN", "LOAD", "LOCK", "MERGE", "MOVE", "NOTIFY", "OPTIMIZE", "PREPARE", "PURGE", "REASSIGN",
    "REFRESH", "REINDEX", "RELEASE", "RENAME", "REPAIR", "REPLACE", "RESET", "REVOKE", "ROLLBACK", "SAVEPOINT", "SECURITY",
    "SELECT", "SET", "SHOW", "SHUTDOWN", "START", "TABLE", "TRUNCATE", "UNLISTEN", "UNLOCK", "UPDATE", "USE", "VACUUM",
    "VALUES", "XA",
];

// === impl Operation ===

impl Operation {
    /// Returns the operation that begins with this word, in any case.
    #[must_use]
    pub fn named(word: &[u8]) -> Self {
        if word.is_empty() {
            return Self("");
        }
        let order = |known: &&str| known.bytes().cmp(word.iter().map(u8::to_ascii_uppercase));
        let place = KNOWN.binary_search_by(order).ok();
        Self(place.and_then(|place| KNOWN.get(place)).unwrap_or(&OTHER))
    }

    /// Returns its name in capitals; `_OTHER` for a word that begins no known operation, empty if it is unknown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Whether the operation is unknown.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the word begins no known operation.
    #[must_use]
    pub fn is_other(self) -> bool {
        self.0 == OTHER
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::named(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, Operation};

    #[test]
    fn a_word_that_servers_know_is_an_operation_in_any_case() {
        assert!(KNOWN.is_sorted());
        for known in KNOWN {
            assert_eq!(Operation::named(known.to_ascii_lowercase().as_bytes()).name(), known);
        }
        for (word, name) in [("", ""), ("SELEC", "_OTHER"), ("selects", "_OTHER"), ("xb", "_OTHER"), ("aa", "_OTHER")] {
            assert_eq!(Operation::named(word.as_bytes()).name(), name, "{word}");
        }
    }
}
