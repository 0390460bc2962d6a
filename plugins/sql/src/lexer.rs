//! SQL as tokens, as far as it takes to tell names from values.

use plugin_sdk::scan::{HIGH, ONES, eight};

/// Whose SQL it is, and how that server reads a backslash between quotes just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL: double quotes hold names, comments nest, strings may stand between dollars.
    PostgreSql {
        /// `standard_conforming_strings` is off.
        backslash: bool,
    },
    /// MySQL and MariaDB: double quotes hold strings, backticks hold names.
    MySql {
        /// The SQL mode is without `NO_BACKSLASH_ESCAPES`.
        backslash: bool,
    },
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A keyword or a name.
    Word(&'a [u8]),
    /// A name between quotes, with them.
    Quoted(&'a [u8]),
    /// A value: a string, a number.
    Literal,
    /// A parameter by number: `$1`.
    Parameter(&'a [u8]),
    /// A comment, with its marks.
    Comment(&'a [u8]),
    /// Any other byte.
    Sign(u8),
}

/// The tokens of a statement, each with whether space stands before it.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    dialect: Dialect,
}

/// Bytes of the longest tag between dollars; PostgreSQL cuts names at as many.
const TAG_BYTES: usize = 63;

// === impl Lexer ===

impl<'a> Lexer<'a> {
    pub(crate) const fn new(sql: &'a [u8], dialect: Dialect) -> Self {
        Self { sql, at: 0, dialect }
    }

    /// Whether the last token reaches to the end of the text: it may have been cut.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.at >= self.sql.len()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// Moves behind the bytes for which this holds; those bytes.
    #[inline]
    fn take_while(&mut self, holds: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let (fours, last) = rest.as_chunks::<4>();
        let mut length = 0;
        let holding = |four: &[u8]| four.iter().position(|&byte| !holds(byte)).unwrap_or(four.len());
        for four in fours {
            let held = holding(four);
            length += held;
            if held < four.len() {
                self.at += length;
                return rest.get(..length).unwrap_or_default();
            }
        }
        length += holding(last);
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Moves this far; the bytes passed.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let rest = self.rest();
        let length = length.min(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn is_postgres(&self) -> bool {
        matches!(self.dialect, Dialect::PostgreSql { .. })
    }

    /// Within [`next`](Iterator::next), as that is within its callers: what is made in one place and moved to another is written by
    /// the byte and read by the word, for which a processor has to wait.
    #[inline(always)]
    fn token(&mut self, first: u8) -> Token<'a> {
        match first {
            b'\'' => self.string(b'\'', self.backslash()),
            b'"' if self.is_postgres() => Token::Quoted(self.quoted(b'"', false)),
            b'"' => self.string(b'"', self.backslash()),
            b'`' if !self.is_postgres() => Token::Quoted(self.quoted(b'`', false)),
            b'-' if self.is_line_comment() => Token::Comment(self.take_while(|byte| byte != b'\n')),
            b'#' if !self.is_postgres() => Token::Comment(self.take_while(|byte| byte != b'\n')),
            b'/' if self.peek(1) == Some(b'*') => Token::Comment(self.block_comment()),
            b'$' if self.is_postgres() => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            _ if is_word(first) => self.word(),
            _ => {
                self.at += 1;
                Token::Sign(first)
            }
        }
    }

    const fn backslash(&self) -> bool {
        match self.dialect {
            Dialect::PostgreSql { backslash } | Dialect::MySql { backslash } => backslash,
        }
    }

    /// MySQL wants space or the end behind the two dashes.
    fn is_line_comment(&self) -> bool {
        let behind = self.peek(2);
        self.peek(1) == Some(b'-') && (self.is_postgres() || behind.is_none_or(|byte| byte <= b' '))
    }

    /// A keyword or name; or a string that has a letter in front: `E'..'`, `X'..'`, `_utf8'..'`.
    #[inline(always)]
    fn word(&mut self) -> Token<'a> {
        let word = self.take(word_length(self.rest()));
        if self.peek(0) == Some(b'\'') {
            let prefix = word.first().filter(|_| word.len() == 1).map_or(0, u8::to_ascii_lowercase);
            let is_prefix = matches!(prefix, b'b' | b'e' | b'n' | b'x');
            if is_prefix || (!self.is_postgres() && word.starts_with(b"_")) {
                let escapes = self.is_postgres() && prefix == b'e';
                return self.string(b'\'', escapes || self.backslash());
            }
        }
        Token::Word(word)
    }

    fn string(&mut self, quote: u8, backslash: bool) -> Token<'a> {
        self.quoted(quote, backslash);
        Token::Literal
    }

    /// From quote to quote, or to the end; a doubled quote is none.
    fn quoted(&mut self, quote: u8, backslash: bool) -> &'a [u8] {
        let rest = self.rest();
        let mut length = 1;
        while let Some(&byte) = rest.get(length) {
            length += 1;
            if byte == b'\\' && backslash {
                length += 1;
            } else if byte == quote {
                if rest.get(length) != Some(&quote) {
                    break;
                }
                length += 1;
            }
        }
        self.take(length)
    }

    fn block_comment(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let (mut length, mut depth) = (2, 1);
        while depth > 0 {
            match rest.get(length..length + 2) {
                Some(b"*/") => {
                    depth -= 1;
                    length += 2;
                }
                Some(b"/*") if self.is_postgres() => {
                    depth += 1;
                    length += 2;
                }
                Some(_) => length += 1,
                None => return self.take(rest.len()),
            }
        }
        self.take(length)
    }

    /// A parameter, `$1`; a string between dollars, `$tag$..$tag$`; or a lone sign.
    fn dollar(&mut self) -> Token<'a> {
        if self.peek(1).is_some_and(|next| next.is_ascii_digit()) {
            let digits = self.rest().iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
            return Token::Parameter(self.take(1 + digits));
        }
        let rest = self.rest();
        let is_tag = |byte: &&u8| is_word(**byte) || byte.is_ascii_digit();
        let tag = rest.iter().skip(1).take(TAG_BYTES).take_while(is_tag).count();
        match rest.get(tag + 1) {
            Some(b'$') => {
                let mark = self.take(tag + 2);
                let body = self.rest();
                let end = body.windows(mark.len()).position(|window| window == mark);
                self.take(end.map_or(body.len(), |end| end + mark.len()));
                Token::Literal
            }
            // Cut in the tag: what follows would be a value.
            None => {
                self.take(rest.len());
                Token::Literal
            }
            Some(_) => {
                self.at += 1;
                Token::Sign(b'$')
            }
        }
    }

    fn number(&mut self) -> Token<'a> {
        loop {
            let digits = self.take_while(|byte| is_word(byte) || byte.is_ascii_digit() || byte == b'.');
            let is_exponent = digits.last().is_some_and(|last| last.eq_ignore_ascii_case(&b'e')) && !digits.starts_with(b"0x");
            if !(is_exponent && self.peek(0).is_some_and(|sign| matches!(sign, b'+' | b'-'))) {
                return Token::Literal;
            }
            self.at += 1;
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = (bool, Token<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let mut first = self.peek(0)?;
        let is_spaced = is_space(first);
        if is_spaced {
            self.at += 1;
            first = self.peek(0)?;
            // Mostly it is one.
            if is_space(first) {
                self.take_while(is_space);
                first = self.peek(0)?;
            }
        }
        Some((is_spaced, self.token(first)))
    }
}

/// A byte that a name may begin with: all that is not ASCII is a letter to both servers.
#[inline]
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Space, and what would draw on a terminal.
#[inline]
const fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// How many of these bytes a name may go on with: letters, digits, `_`, `$` and what is not ASCII; eight at a time.
#[inline(always)]
fn word_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = bytes.get(length..).unwrap_or_default();
        let held = outside_words(eight(rest)).trailing_zeros() as usize / 8;
        length += held;
        if held < 8 {
            return length;
        }
    }
}

/// The high bit of each byte that a name cannot go on with. Each byte is looked at by itself: its lower seven bits and a number below
/// 128 carry into its own high bit and no further.
#[inline(always)]
const fn outside_words(word: u64) -> u64 {
    /// Where the lower seven bits are at least this.
    const fn at_least(low: u64, least: u8) -> u64 {
        low + ONES * (128 - least as u64)
    }
    let low = word & !HIGH;
    let letter = low | (ONES * 0x20);
    let letters = at_least(letter, b'a') & !at_least(letter, b'z' + 1);
    let digits = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let line = !at_least(low ^ (ONES * b'_' as u64), 1);
    let dollar = !at_least(low ^ (ONES * b'$' as u64), 1);
    !(letters | digits | line | dollar | word) & HIGH
}

#[cfg(test)]
mod tests {
    use super::{is_word, word_length};

    #[test]
    fn a_name_goes_on_with_letters_digits_line_dollar_and_what_is_not_ascii() {
        for byte in 0..=u8::MAX {
            let is = is_word(byte) || byte.is_ascii_digit() || byte == b'$';
            for place in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes[place] = byte;
                assert_eq!(word_length(&bytes), if is { 20 } else { place }, "{byte} at {place}");
            }
        }
    }
}
