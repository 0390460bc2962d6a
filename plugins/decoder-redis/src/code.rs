//! The first word of an error. The rest of its text is the server's own, may hold keys and values, and goes nowhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `ERR`, `WRONGTYPE`, `MOVED`: one of [`KNOWN`]; anything else is `_OTHER`, because a script can make any word an error.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    /// Zeros behind the word. No length: what is one number is copied as one.
    bytes: [u8; LONGEST],
}

const LONGEST: usize = 16;
const OTHER: &[u8] = b"_OTHER";

/// What Redis, Valkey and Sentinel begin their errors with.
#[rustfmt::skip]
const KNOWN: [&str; 36] = [
    "ERR", "WRONGTYPE", "NOAUTH", "NOPERM", "WRONGPASS", "MOVED", "ASK", "REDIRECT", "CROSSSLOT", "CLUSTERDOWN", "TRYAGAIN",
    "LOADING", "BUSY", "NOSCRIPT", "NOTBUSY", "UNKILLABLE", "READONLY", "OOM", "MISCONF", "MASTERDOWN", "NOREPLICAS",
    "NOMASTERLINK", "NOGOODSLAVE", "NOGOODREPLICA", "NOQUORUM", "INPROG", "EXECABORT", "BUSYKEY", "BUSYGROUP", "NOGROUP",
    "UNBLOCKED", "DENIED", "NOPROTO", "IOERR", "INVALIDOBJ", "SYNTAX",
];

// === impl Code ===

impl Code {
    /// Of a reply that is no error.
    pub(crate) const NONE: Self = Self { bytes: [0; LONGEST] };

    /// Of an error's text.
    pub(crate) fn of(text: &[u8]) -> Self {
        let end = text.iter().position(|byte| !byte.is_ascii_uppercase()).unwrap_or(text.len());
        let ends = text.get(end).is_none_or(u8::is_ascii_whitespace);
        let word = match text.get(..end) {
            Some(word) if ends && KNOWN.iter().any(|known| known.as_bytes() == word) => word,
            _ => OTHER,
        };
        let mut bytes = [0; LONGEST];
        bytes.iter_mut().zip(word).for_each(|(place, &byte)| *place = byte);
        Self { bytes }
    }

    /// The word; empty for none.
    pub(crate) fn text(&self) -> &str {
        let length = LONGEST - u128::from_le_bytes(self.bytes).leading_zeros() as usize / 8;
        let word = self.bytes.get(..length).unwrap_or_default();
        std::str::from_utf8(word).unwrap_or_default()
    }
}

impl Default for Code {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn only_a_word_of_the_server_is_told_of_an_error() {
        let code = |text: &str| Code::of(text.as_bytes()).text().to_owned();
        assert_eq!(code("ERR unknown command 'hunter2'\r\n"), "ERR");
        assert_eq!(code("WRONGTYPE\r\n"), "WRONGTYPE");
        assert_eq!(code("MOVED 3999 127.0.0.1:6381"), "MOVED");
        assert_eq!(code("NOSCRIPT No matching script"), "NOSCRIPT");
        for text in [
            "HUNTER is no error of the server",
            "hunter2 is wrong",
            "Hunter",
            "HUNTER2",
            "",
            " ERR",
            "ERR\u{1b}[31m",
            "ABCDEFGHIJKLMNOPQ no",
            "ERR:x",
        ] {
            assert_eq!(code(text), "_OTHER", "{text:?}");
        }
    }
}
