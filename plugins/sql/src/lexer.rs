//! Splits SQL into tokens, in sufficient detail to distinguish names from values.

use crate::name::{is_word, word_length};

/// The server's SQL dialect, and how the server currently reads quoted text, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL: double quotes hold names, comments nest, strings may stand between dollars.
    PostgreSql {
        /// Meaning in strings without a letter before them, by `standard_conforming_strings`.
        backslash: Backslash,
        /// As in [`MySql`](Self::MySql), by `client_encoding`.
        is_wide: bool,
    },
    /// MySQL and MariaDB: double quotes hold strings, or names if the SQL mode has `ANSI_QUOTES`, which servers do not report; backticks
    /// hold names.
    MySql {
        /// By the SQL mode `NO_BACKSLASH_ESCAPES`.
        backslash: Backslash,
        /// Whether the client's character set may have characters that end in an ASCII byte: Shift-JIS, GBK, Big5 and similar, or an
        /// unknown one.
        is_wide: bool,
    },
}

/// The meaning of a backslash between quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backslash {
    /// It escapes the byte behind it.
    Escapes,
    /// It is an ordinary byte.
    Plain,
    /// Not known.
    Unknown,
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
    /// A comment, with its delimiters.
    Comment(&'a [u8]),
    /// Any other byte.
    Sign(u8),
}

/// The tokens of a statement, each with whether space precedes it. The tokens end where two possible servers would read on differently: a
/// name for one of them may be a value for the other.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// Whether the rest of the text can be read in more than one way.
    is_unsure: bool,
    /// Whether the text ended within a string, a name or a comment.
    pub(crate) is_open: bool,
}

// === impl Lexer ===

impl<'a> Lexer<'a> {
    pub(crate) const fn new(sql: &'a [u8], dialect: Dialect) -> Self {
        Self { sql, at: 0, dialect, is_unsure: false, is_open: false }
    }

    /// Whether the last token ends with the text, so that it may have been cut.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.at >= self.sql.len()
    }

    /// Whether the rest is withheld, because it may be read in more than one way.
    pub(crate) const fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    /// Forgets the modes after a statement that may change how the next is read.
    pub(crate) const fn forget_modes(&mut self) {
        if let Dialect::MySql { backslash, is_wide } = &mut self.dialect {
            *backslash = Backslash::Unknown;
            *is_wide = true;
        }
    }

    /// Whether a dot follows, with at most space before it.
    pub(crate) fn is_before_dot(&self) -> bool {
        self.rest().iter().find(|byte| !is_space(**byte)) == Some(&b'.')
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// Consumes the bytes that satisfy the condition, and returns them.
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

    /// Consumes this number of bytes, and returns them.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let rest = self.rest();
        let length = length.min(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    const fn is_postgres(&self) -> bool {
        matches!(self.dialect, Dialect::PostgreSql { .. })
    }

    const fn is_wide(&self) -> bool {
        match self.dialect {
            Dialect::PostgreSql { is_wide, .. } | Dialect::MySql { is_wide, .. } => is_wide,
        }
    }

    const fn backslash(&self) -> Backslash {
        match self.dialect {
            Dialect::PostgreSql { backslash, .. } | Dialect::MySql { backslash, .. } => backslash,
        }
    }

    /// Returns the meaning of a backslash if only one of two readings has escapes.
    const fn doubtful_backslash(&self) -> Backslash {
        match self.backslash() {
            Backslash::Plain => Backslash::Plain,
            _ => Backslash::Unknown,
        }
    }

    /// Inlined into [`next`](Iterator::next), as that is into its callers: a token that is created in one place and moved to another is
    /// written by the byte and read by the word, which stalls the processor.
    #[inline(always)]
    fn token(&mut self, first: u8) -> Token<'a> {
        match first {
            b'\'' => self.string(self.backslash()),
            b'"' if self.is_postgres() => Token::Quoted(self.quoted(b'"', Backslash::Plain)),
            // A string, or with `ANSI_QUOTES` a name, in which backslashes are ordinary.
            b'"' => {
                self.quoted(b'"', self.doubtful_backslash());
                Token::Literal
            }
            b'`' if !self.is_postgres() => Token::Quoted(self.quoted(b'`', Backslash::Plain)),
            b'-' if self.peek(1) == Some(b'-') && self.is_line_comment() => Token::Comment(self.line_comment()),
            b'#' if !self.is_postgres() => Token::Comment(self.line_comment()),
            b'/' if self.peek(1) == Some(b'*') => Token::Comment(self.block_comment()),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            _ if is_word(first) => self.word(),
            _ => {
                self.at += 1;
                Token::Sign(first)
            }
        }
    }

    /// Whether a comment begins. MySQL requires space, a control character or the end behind the two dashes; which bytes beyond ASCII are
    /// space depends on its character sets.
    fn is_line_comment(&mut self) -> bool {
        let behind = self.peek(2).filter(|_| !self.is_postgres());
        self.is_unsure |= behind.is_some_and(|byte| byte >= 0x80);
        behind.is_none_or(|byte| byte <= b' ' || byte >= 0x7f)
    }

    /// Consumes a comment to the end of the line. PostgreSQL also ends it at a carriage return, MySQL at a NUL.
    fn line_comment(&mut self) -> &'a [u8] {
        let is_postgres = self.is_postgres();
        let comment = self.take_while(|byte| byte != b'\n' && byte != 0 && !(is_postgres && byte == b'\r'));
        self.is_unsure |= self.peek(0) == Some(0);
        self.is_open |= self.is_at_end();
        comment
    }

    /// Reads a keyword or name; or a string that has a letter before it: `E'..'`, `X'..'`, `U&'..'`, `_utf8'..'`.
    #[inline(always)]
    fn word(&mut self) -> Token<'a> {
        let word = self.take(word_length(self.rest()));
        if matches!(self.peek(0), Some(b'\'' | b'&' | b'`')) { self.before_quote(word) } else { Token::Word(word) }
    }

    /// The same for a word that may be followed by a quote.
    #[cold]
    fn before_quote(&mut self, word: &'a [u8]) -> Token<'a> {
        match self.peek(0) {
            Some(b'\'') => {
                let prefix = word.first().filter(|_| word.len() == 1).map_or(0, u8::to_ascii_lowercase);
                match prefix {
                    b'e' if self.is_postgres() => return self.string(Backslash::Escapes),
                    b'n' => return self.string(self.backslash()),
                    // Digits, without escapes; any other content is an error in every reading.
                    b'b' | b'x' => return self.string(self.doubtful_backslash()),
                    _ if !self.is_postgres() && word.starts_with(b"_") => return self.string(self.backslash()),
                    _ => {}
                }
            }
            // Servers refuse it if backslashes escape.
            Some(b'&') if self.is_postgres() && word.eq_ignore_ascii_case(b"u") && self.peek(1) == Some(b'\'') => {
                self.at += 1;
                return self.string(self.doubtful_backslash());
            }
            // It may be the last byte of a character.
            Some(b'`') if self.is_wide() => self.is_unsure |= word.last().is_some_and(|last| *last >= 0x80),
            _ => {}
        }
        Token::Word(word)
    }

    #[inline(never)]
    fn string(&mut self, backslash: Backslash) -> Token<'a> {
        self.quoted(b'\'', backslash);
        while self.is_postgres() && self.goes_on() {
            self.quoted(b'\'', backslash);
        }
        Token::Literal
    }

    /// Moves to the next part of a string of PostgreSQL, if it has one: behind space and comments that include the end of a line, another
    /// quote continues it in the same way.
    fn goes_on(&mut self) -> bool {
        let rest = self.rest();
        let (mut length, mut has_line) = (0, false);
        while let Some(&byte) = rest.get(length) {
            match byte {
                b'\n' | b'\r' => has_line = true,
                b' ' | b'\t' | 0x0b | 0x0c => {}
                b'-' if rest.get(length + 1) == Some(&b'-') => {
                    let behind = rest.get(length..).unwrap_or_default();
                    length += behind.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(behind.len());
                    continue;
                }
                b'\'' if has_line && !self.is_unsure => {
                    self.at += length;
                    return true;
                }
                // Servers refuse it, so its reading is not defined.
                b'\'' => {
                    self.is_unsure = true;
                    return false;
                }
                _ => return false,
            }
            length += 1;
        }
        false
    }

    /// Reads from quote to quote, or to the end; a doubled quote does not end the token. If it may end in more than one place, all text
    /// behind it is unsure.
    #[inline]
    fn quoted(&mut self, quote: u8, backslash: Backslash) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().skip(1).position(|byte| *byte == quote || *byte == b'\\').map_or(rest.len(), |place| place + 1);
        // Mostly it contains no byte that needs a closer look.
        let is_simple = rest.get(end) == Some(&quote) && rest.get(end + 1) != Some(&quote) && quote != b'`';
        if is_simple { self.take(end + 1) } else { self.quoted_from(end, quote, backslash) }
    }

    /// The same, if up to this byte only the first is a quote or a backslash.
    #[inline(never)]
    fn quoted_from(&mut self, mut length: usize, quote: u8, backslash: Backslash) -> &'a [u8] {
        let rest = self.rest();
        loop {
            let Some(&byte) = rest.get(length) else {
                self.is_open = true;
                break;
            };
            if byte == b'\\' && backslash != Backslash::Plain {
                let behind = rest.get(length..).unwrap_or_default();
                let run = behind.iter().take_while(|byte| **byte == b'\\').count();
                // The first may be the last byte of a character.
                let may_be_less = self.is_wide() && rest.get(length - 1).is_some_and(|before| *before >= 0x80);
                length += run;
                // Their meaning only matters before a quote.
                if rest.get(length) == Some(&quote) {
                    let is_odd = run % 2 == 1;
                    if may_be_less || (is_odd && backslash == Backslash::Unknown) {
                        self.is_unsure = true;
                        break;
                    }
                    length += usize::from(is_odd);
                }
                continue;
            }
            length += 1;
            if byte == quote {
                // A backtick may be the last byte of a character, too.
                let may_be_less = quote == b'`' && self.is_wide() && rest.get(length - 2).is_some_and(|before| *before >= 0x80);
                self.is_unsure |= may_be_less;
                if rest.get(length) != Some(&quote) || may_be_less {
                    break;
                }
                length += 1;
            }
        }
        self.take(length)
    }

    fn block_comment(&mut self) -> &'a [u8] {
        let comment = if self.is_postgres() { self.nested_comment() } else { self.plain_comment() };
        self.is_open |= !comment.ends_with(b"*/") || comment.len() < 4;
        comment
    }

    /// Reads a comment of PostgreSQL, in which comments nest.
    fn nested_comment(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let (mut length, mut depth) = (2, 1);
        while depth > 0 {
            match rest.get(length..length + 2) {
                Some(b"*/") => {
                    depth -= 1;
                    length += 2;
                }
                Some(b"/*") => {
                    depth += 1;
                    length += 2;
                }
                Some(_) => length += 1,
                None => return self.take(rest.len()),
            }
        }
        self.take(length)
    }

    /// Reads a comment of MySQL. Comments of some kinds are executed, depending on the version, or are hints; strings in them may hold the
    /// end of a comment.
    fn plain_comment(&mut self) -> &'a [u8] {
        let comment = self.take_while_not_ended();
        if is_read(comment)
            && let Some(body) = comment.get(3..).and_then(|body| body.strip_suffix(b"*/"))
        {
            let mut inside = Lexer::new(body, self.dialect);
            let has_comment = inside.any(|(_, token)| matches!(token, Token::Comment(_))) || has(body, b"/*");
            self.is_unsure |= inside.is_unsure || inside.is_open || has_comment;
        }
        comment
    }

    fn take_while_not_ended(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let body = rest.get(2..).unwrap_or_default();
        let end = body.windows(2).position(|pair| pair == b"*/");
        self.take(end.map_or(rest.len(), |end| end + 4))
    }

    /// Reads a parameter, `$1`; a string between dollars, `$tag$..$tag$`; or a single sign.
    fn dollar(&mut self) -> Token<'a> {
        let rest = self.rest();
        if self.is_postgres() && self.peek(1).is_some_and(|next| next.is_ascii_digit()) {
            let digits = rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
            return Token::Parameter(self.take(1 + digits));
        }
        let tag = rest.iter().skip(1).take_while(|byte| is_word(**byte) || byte.is_ascii_digit()).count();
        match rest.get(tag + 1) {
            Some(b'$') => {
                // For MySQL they are signs, or since version 9 a string.
                self.is_unsure |= !self.is_postgres();
                let mark = self.take(tag + 2);
                let body = self.rest();
                let end = body.windows(mark.len()).position(|window| window == mark);
                self.is_open |= end.is_none();
                self.take(end.map_or(body.len(), |end| end + mark.len()));
                Token::Literal
            }
            // Cut in the tag: the text behind it would be a value.
            None if self.is_postgres() => {
                self.take(rest.len());
                Token::Literal
            }
            _ => {
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
        if self.is_unsure {
            return None;
        }
        let mut first = self.peek(0)?;
        let is_spaced = is_space(first);
        if is_spaced {
            self.at += 1;
            first = self.peek(0)?;
            // Mostly it is exactly one space.
            if is_space(first) {
                self.take_while(is_space);
                first = self.peek(0)?;
            }
        }
        Some((is_spaced, self.token(first)))
    }
}

/// Whether MySQL or MariaDB may execute the content of this comment: `/*!50000 .. */`, `/*M! .. */`, `/*+ .. */`.
pub(crate) fn is_read(comment: &[u8]) -> bool {
    [&b"/*!"[..], b"/*M!", b"/*+"].iter().any(|mark| comment.starts_with(mark))
}

fn has(bytes: &[u8], pair: &[u8; 2]) -> bool {
    bytes.windows(2).any(|window| window == pair)
}

/// Whether a byte is space, or a control character that could affect a terminal.
#[inline]
const fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}
