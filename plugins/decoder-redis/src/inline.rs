//! Inline commands: words on a line, without lengths.

/// The words of a line, as Redis reads them: in double quotes with escapes, in single quotes without, or without quotes.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a> {
    rest: &'a [u8],
    /// Whether a quote has no end, or is followed by another character: Redis answers with an error.
    pub is_unbalanced: bool,
}

/// Maximum number of bytes of a word that are read.
const MAX_WORD: usize = 64;

// === impl Words ===

impl<'a> Words<'a> {
    /// Returns the words of this line.
    pub(crate) const fn new(line: &'a [u8]) -> Self {
        Self { rest: line, is_unbalanced: false }
    }

    /// Puts the first bytes of the next word into `word`. Returns false if there is no next word.
    pub(crate) fn next(&mut self, word: &mut Vec<u8>) -> bool {
        word.clear();
        self.rest = self.rest.trim_ascii_start();
        if self.rest.is_empty() || self.is_unbalanced {
            return false;
        }
        let mut quote = None;
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            let byte = match (quote, byte) {
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    continue;
                }
                (None, byte) if byte.is_ascii_whitespace() => return true,
                (Some(open), byte) if byte == open => {
                    // A quote must be followed by the end of the word.
                    self.is_unbalanced = rest.first().is_some_and(|next| !next.is_ascii_whitespace());
                    return true;
                }
                (Some(b'"'), b'\\') => self.take_escaped(),
                (Some(_), b'\\') if rest.first() == Some(&b'\'') => self.take_byte(),
                (_, byte) => byte,
            };
            if word.len() < MAX_WORD {
                word.push(byte);
            }
        }
        self.is_unbalanced = quote.is_some();
        true
    }

    /// Returns the character for an escape between double quotes.
    fn take_escaped(&mut self) -> u8 {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
        if let [b'x', high, low, rest @ ..] = self.rest
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            self.rest = rest;
            return high << 4 | low;
        }
        match self.take_byte() {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'a' => 7,
            byte => byte,
        }
    }

    fn take_byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.rest.split_first() else { return b'\\' };
        self.rest = rest;
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_WORD, Words};

    /// Returns the words, and `!` if Redis would reject them.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut all) = (Words::new(line.as_bytes()), Vec::new(), Vec::new());
        while words.next(&mut word) {
            all.push(String::from_utf8_lossy(&word).into_owned());
        }
        if words.is_unbalanced {
            all.push("!".into());
        }
        all
    }

    #[test]
    fn words_in_quotes_are_one_each() {
        for (line, expected) in [
            ("set k v\r\n", ["set", "k", "v"]),
            ("  set\tk   v  \r\n", ["set", "k", "v"]),
            (r#"set k "a b""#, ["set", "k", "a b"]),
            (r#"set k "a\" \x41\n\\""#, ["set", "k", "a\" A\n\\"]),
            (r#"set k "\xg1\q""#, ["set", "k", "xg1q"]),
            (r"set 'a \'b\' \n' ''", ["set", "a 'b' \\n", ""]),
            (r#""set" "" x"y z""#, ["set", "", "xy z"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn a_quote_without_an_end_is_told() {
        for line in [r#"get "a"#, r#"get "a"b"#, r"get 'a", r"get 'a'b c", r#"get "a\"#, r#"get "\x4"#] {
            assert_eq!(words(line).last().unwrap(), "!", "{line}");
        }
        assert_eq!(words(&"x".repeat(1000))[0].len(), MAX_WORD);
        assert!(words(" \r\n").is_empty());
    }
}
