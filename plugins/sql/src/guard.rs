//! Detects words that may be values, which are withheld as values are.
//!
//! In most statements the syntax identifies the values. In statements that set something it does not (`SET a = b`, `ALTER USER a PASSWORD
//! b`), and a text that begins with an unknown word may hold values anywhere.

use crate::lexer::Token;
use crate::name::{is_word, word_length};
use crate::operation::Operation;

/// How a token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The token is written unchanged.
    Keep,
    /// The token is a value.
    Value,
    /// The token is a value, and so is all text written from this byte on.
    ValueFrom(usize),
    /// The token belongs to a value that was already written.
    Drop,
    /// The token begins another statement, and the previous one may change how that is read.
    NewStatement,
}

/// Follows a text token by token.
#[derive(Debug)]
pub(crate) struct Guard {
    is_postgres: bool,
    state: State,
    /// Number of open parentheses in a value.
    depth: u32,
    /// Whether the statement may change how the next is read.
    may_change_modes: bool,
    /// The position up to which the written text was searched for `VALUES`.
    looked_at: usize,
    /// The end of the last `VALUES`; 0 without one.
    values: usize,
    /// Whether this is `COPY .. FROM STDIN`: the client's text behind it is data.
    has_data: bool,
    /// Whether this is `SET STATEMENT a = b FOR SELECT ..`.
    is_for_one: bool,
}

/// The position in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before its first word.
    Start,
    /// In a part where all words are names.
    Plain,
    /// The same in a `COPY`.
    Copy,
    /// Before the kind of object that is created, altered or dropped.
    Kind { is_alter: bool },
    /// In the options of a function, which include settings.
    Function,
    /// Before a password.
    Grants,
    /// Before a channel, then before its message.
    Channel,
    /// Before the name of a setting.
    Name,
    /// In the name of a setting, which begins at this byte. `is_whole` if it does not end in a dot.
    Named { start: usize, is_whole: bool },
    /// In the value of a setting, of which nothing or all was written.
    Value { is_written: bool },
    /// In text that is written as one value, to the end of the statement.
    Over { is_written: bool },
    /// Behind the text that is written.
    Gone,
}

// === impl Guard ===

impl Guard {
    pub(crate) const fn new(is_postgres: bool) -> Self {
        Self {
            is_postgres,
            state: State::Start,
            depth: 0,
            may_change_modes: false,
            looked_at: 0,
            values: 0,
            has_data: false,
            is_for_one: false,
        }
    }

    /// Returns how the next token is written. `written` is the text before it; `is_qualified` is whether a dot follows it. Nearly all
    /// tokens are written unchanged: the others are handled separately.
    #[inline(always)]
    pub(crate) fn judge(&mut self, token: Token<'_>, written: &[u8], is_qualified: impl FnOnce() -> bool) -> Verdict {
        if self.state != State::Plain {
            return self.judge_word(token, written.len());
        }
        match token {
            // A name between quotes at the place of a value, or with bytes that names do not have, is a string between the wrong quotes.
            Token::Quoted(name) if !is_name(name) || (self.is_postgres && self.is_operand(written) && !is_qualified()) => {
                Verdict::Value
            }
            _ => Verdict::Keep,
        }
    }

    /// Whether the next token is compared, assigned or stored.
    fn is_operand(&mut self, written: &[u8]) -> bool {
        let written = written.trim_ascii_end();
        match written.last() {
            Some(b'=' | b'<' | b'>' | b'~') => true,
            Some(b'(' | b',') => self.is_in_values(written),
            Some(b'e' | b'E') => written.last_chunk::<4>().is_some_and(|last| last.eq_ignore_ascii_case(b"like")),
            _ => false,
        }
    }

    /// Whether the written text ends within a row behind `VALUES`.
    fn is_in_values(&mut self, written: &[u8]) -> bool {
        const VALUES: &[u8] = b"values";
        let start = self.looked_at.min(written.len());
        let new = written.get(start..).unwrap_or_default();
        let is_values =
            |word: &[u8]| word.first().is_some_and(|first| first | 0x20 == b'v') && word.eq_ignore_ascii_case(VALUES);
        if let Some(state) = new.windows(VALUES.len()).rposition(is_values) {
            self.values = start + state + VALUES.len();
        }
        self.looked_at = written.len().saturating_sub(VALUES.len());
        if self.values == 0 {
            return false;
        }
        let mut depth = 0_u32;
        for byte in written.get(self.values..).unwrap_or_default() {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                // A clause follows the rows.
                byte if depth == 0 && byte.is_ascii_alphabetic() => return false,
                _ => {}
            }
        }
        depth > 0
    }

    /// Ends a statement.
    pub(crate) fn end(&mut self) -> Verdict {
        if self.state == State::Gone {
            return Verdict::Drop;
        }
        let (has_data, may_change_modes) = (self.has_data, self.may_change_modes);
        *self = Self::new(self.is_postgres);
        if has_data {
            self.state = State::Gone;
        }
        if may_change_modes { Verdict::NewStatement } else { Verdict::Keep }
    }

    #[inline(never)]
    fn judge_word(&mut self, token: Token<'_>, written: usize) -> Verdict {
        match self.state {
            State::Start => return self.begin(token),
            State::Kind { is_alter } => self.kind(token, is_alter),
            State::Function => {
                if matches!(token, Token::Word(word) if is(word, &["SET"])) {
                    self.state = State::Name;
                }
            }
            State::Grants => {
                let is_last = match token {
                    Token::Word(word) => is(word, &["PASSWORD", "IDENTIFIED"]),
                    token => token == Token::Sign(b'='),
                };
                if is_last {
                    self.state = State::Over { is_written: false };
                }
                return if matches!(token, Token::Quoted(name) if !is_name(name)) { Verdict::Value } else { Verdict::Keep };
            }
            State::Channel => {
                if token == Token::Sign(b',') {
                    self.state = State::Over { is_written: false };
                }
            }
            State::Name | State::Named { .. } => return self.name(token, written),
            State::Value { is_written } => return self.value(token, is_written),
            State::Over { is_written } => {
                self.state = State::Over { is_written: true };
                return if is_written { Verdict::Drop } else { Verdict::Value };
            }
            State::Gone => return Verdict::Drop,
            State::Plain => {}
            State::Copy => {
                self.has_data |= matches!(token, Token::Word(word) if is(word, &["STDIN"]));
                return if matches!(token, Token::Quoted(name) if !is_name(name)) { Verdict::Value } else { Verdict::Keep };
            }
        }
        Verdict::Keep
    }

    /// Handles the first token of a statement.
    fn begin(&mut self, token: Token<'_>) -> Verdict {
        let Token::Word(word) = token else {
            // Of the signs only a parenthesis begins a statement.
            if token == Token::Sign(b'(') {
                return Verdict::Keep;
            }
            self.state = State::Over { is_written: true };
            return Verdict::Value;
        };
        // Nearly all statements begin with one of these.
        if is(word, &["SELECT", "UPDATE", "INSERT", "DELETE"]) {
            self.state = State::Plain;
            return Verdict::Keep;
        }
        let is_harmless = is(word, &HARMLESS);
        self.state = match word.len() {
            3 if is(word, &["SET"]) => State::Name,
            4 if is(word, &["COPY"]) => State::Copy,
            5 if is(word, &["GRANT", "START"]) => State::Grants,
            5 if is(word, &["ALTER"]) => State::Kind { is_alter: true },
            6 if is(word, &["CREATE"]) => State::Kind { is_alter: false },
            6 if is(word, &["REVOKE"]) => State::Grants,
            6 if is(word, &["CHANGE"]) => State::Over { is_written: false },
            6 if is(word, &["NOTIFY"]) => State::Channel,
            _ if !is_harmless && Operation::named(word).is_other() => State::Over { is_written: true },
            _ => State::Plain,
        };
        self.may_change_modes = !is_harmless;
        if self.state == (State::Over { is_written: true }) { Verdict::Value } else { Verdict::Keep }
    }

    /// Handles the kind of object that is created or altered.
    fn kind(&mut self, token: Token<'_>, is_alter: bool) {
        let Token::Word(word) = token else { return };
        self.state =
            if is(word, &["USER", "ROLE", "GROUP", "SERVER", "SUBSCRIPTION", "SYSTEM", "LOGIN", "CONNECTION", "SECRET"])
                || is_alter && is(word, &["DATABASE", "INSTANCE", "EVENT"])
            {
                State::Over { is_written: false }
            } else if self.is_postgres && is(word, &["FUNCTION", "PROCEDURE", "ROUTINE"]) {
                State::Function
            } else if is(word, &["OR", "REPLACE", "AGGREGATE", "DEFINER", "SQL", "SECURITY", "IF", "NOT", "EXISTS"]) {
                State::Kind { is_alter }
            } else {
                State::Plain
            };
    }

    /// Handles a token of a name, up to `=` or `TO`.
    fn name(&mut self, token: Token<'_>, written: usize) -> Verdict {
        if let State::Named { start, is_whole } = self.state {
            match token {
                Token::Sign(b'.') => self.state = State::Named { start, is_whole: false },
                Token::Word(_) | Token::Quoted(_) if !is_whole => self.state = State::Named { start, is_whole: true },
                Token::Sign(b':') => {}
                Token::Sign(b'=') => self.state = State::Value { is_written: false },
                Token::Word(word) if is(word, &["TO"]) => self.state = State::Value { is_written: false },
                _ => {
                    // The supposed name was a value.
                    self.state = State::Value { is_written: true };
                    self.count(token);
                    return Verdict::ValueFrom(start);
                }
            }
            return Verdict::Keep;
        }
        match token {
            Token::Sign(b'@' | b'.' | b':' | b',') => {}
            Token::Word(word) if is(word, &["STATEMENT"]) => self.is_for_one = true,
            Token::Word(word) if is(word, &BEFORE_VALUES) => self.state = State::Value { is_written: false },
            Token::Word(word) if is(word, &BEFORE_NAMES) => {}
            Token::Quoted(name) if !is_name(name) => {
                self.state = State::Value { is_written: true };
                return Verdict::Value;
            }
            Token::Word(_) | Token::Quoted(_) => self.state = State::Named { start: written, is_whole: true },
            _ => {
                self.state = State::Value { is_written: true };
                self.count(token);
                return Verdict::Value;
            }
        }
        Verdict::Keep
    }

    /// Returns the start of the name that a text ends in, because it may be a value.
    pub(crate) const fn open_name(&self) -> Option<usize> {
        if let State::Named { start, .. } = self.state { Some(start) } else { None }
    }

    fn value(&mut self, token: Token<'_>, is_written: bool) -> Verdict {
        if self.depth == 0 {
            match token {
                // Another setting; in PostgreSQL the list is the value of the one setting.
                Token::Sign(b',') if !self.is_postgres => {
                    self.state = State::Name;
                    return Verdict::Keep;
                }
                Token::Word(word) if self.is_for_one && is(word, &["FOR"]) => {
                    self.state = State::Start;
                    return Verdict::Keep;
                }
                _ => {}
            }
        }
        self.count(token);
        self.state = State::Value { is_written: true };
        if is_written { Verdict::Drop } else { Verdict::Value }
    }

    const fn count(&mut self, token: Token<'_>) {
        match token {
            Token::Sign(b'(') => self.depth = self.depth.saturating_add(1),
            Token::Sign(b')') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// First words of statements that change no mode for the statements behind them in the same text, besides the four that read and write
/// rows.
const HARMLESS: [&str; 13] =
    ["BEGIN", "COMMIT", "WITH", "REPLACE", "VALUES", "START", "ROLLBACK", "CREATE", "DROP", "TRUNCATE", "COPY", "LOCK", "SHOW"];

/// Words of `SET` that are followed by a value.
const BEFORE_VALUES: [&str; 9] = ["NAMES", "CHARSET", "SET", "ROLE", "AUTHORIZATION", "ZONE", "SCHEMA", "SNAPSHOT", "PASSWORD"];

/// Words of `SET` that are neither names nor values.
const BEFORE_NAMES: [&str; 26] = [
    "SESSION",
    "LOCAL",
    "GLOBAL",
    "PERSIST",
    "PERSIST_ONLY",
    "TRANSACTION",
    "CHARACTERISTICS",
    "AS",
    "ISOLATION",
    "LEVEL",
    "READ",
    "ONLY",
    "WRITE",
    "COMMITTED",
    "UNCOMMITTED",
    "REPEATABLE",
    "SERIALIZABLE",
    "NOT",
    "DEFERRABLE",
    "DEFERRED",
    "IMMEDIATE",
    "CONSTRAINTS",
    "ALL",
    "TIME",
    "CHARACTER",
    "DEFAULT",
];

/// Maximum length of a quoted name that is written.
const NAME_BYTES: usize = 130;

/// Whether a quoted token may be a name: mostly letters.
#[inline(always)]
fn is_name(quoted: &[u8]) -> bool {
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    // Nearly all names are plain words.
    inside.first().is_some_and(|first| is_word(*first)) && inside.len() <= NAME_BYTES && word_length(inside) == inside.len()
        || may_be_name(quoted)
}

#[inline(never)]
fn may_be_name(quoted: &[u8]) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || byte <= b' ' || b"_$-.#\"`".contains(&byte);
    let has_letter = quoted.iter().any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    quoted.len() <= NAME_BYTES && has_letter && quoted.iter().all(|byte| is_part(*byte))
}

fn is(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}
