//! Words that may be values, and are withheld as values are.
//!
//! Most statements say by their form what is a value. Those that set something do not (`SET a = b`, `ALTER USER a PASSWORD b`), and what
//! begins with no word that servers know may be anything.

use crate::lexer::Token;
use crate::name::{is_word, word_length};
use crate::operation::Operation;

/// What becomes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is written as it is.
    Keep,
    /// It is a value.
    Value,
    /// It is a value, and so is all that was written from this byte on.
    ValueFrom(usize),
    /// It belongs to a value that was written.
    Drop,
    /// It begins another statement, and the one before may change how that is read.
    NewStatement,
}

/// Follows a text token by token.
#[derive(Debug)]
pub(crate) struct Guard {
    is_postgres: bool,
    state: State,
    /// Parentheses that are open in a value.
    depth: u32,
    /// The statement may change how the next is read.
    may_change_modes: bool,
    /// How far what was written was searched for `VALUES`.
    looked_at: usize,
    /// Where the last one ends; 0 without one.
    values: usize,
    /// `COPY .. FROM STDIN`: what a client writes behind it in the same text is data.
    has_data: bool,
    /// `SET STATEMENT a = b FOR SELECT ..`
    is_for_one: bool,
}

/// The position in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before its first word.
    Start,
    /// Where all words are names.
    Plain,
    /// The same in a `COPY`.
    Copy,
    /// Where it is said what kind of thing is created, altered or dropped.
    Kind { is_alter: bool },
    /// In the options of a function, among which settings are.
    Function,
    /// Before a password.
    Grants,
    /// Before a channel, then before what is sent to it.
    Channel,
    /// Before the name of a setting.
    Name,
    /// In it; it begins at this byte. `is_whole` if it does not end in a dot.
    Named { start: usize, is_whole: bool },
    /// In what a setting is set to, of which nothing or all was written.
    Value { is_written: bool },
    /// In what is written as one value, to the end of the statement.
    Over { is_written: bool },
    /// Behind what is written.
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

    /// What becomes of the next token. `written` is what was written before it; `is_qualified` says whether a dot stands behind it. Nearly all
    /// tokens are written as they are: the rest is elsewhere.
    #[inline(always)]
    pub(crate) fn judge(&mut self, token: Token<'_>, written: &[u8], is_qualified: impl FnOnce() -> bool) -> Verdict {
        if self.state != State::Plain {
            return self.judge_word(token, written.len());
        }
        match token {
            // A string between the wrong quotes stands where a value does, or has in it what names have not.
            Token::Quoted(name) if !is_name(name) || (self.is_postgres && self.is_operand(written) && !is_qualified()) => {
                Verdict::Value
            }
            _ => Verdict::Keep,
        }
    }

    /// Whether what stands behind this is compared, assigned or stored.
    fn is_operand(&mut self, written: &[u8]) -> bool {
        let written = written.trim_ascii_end();
        match written.last() {
            Some(b'=' | b'<' | b'>' | b'~') => true,
            Some(b'(' | b',') => self.is_in_values(written),
            Some(b'e' | b'E') => written.last_chunk::<4>().is_some_and(|last| last.eq_ignore_ascii_case(b"like")),
            _ => false,
        }
    }

    /// Whether this ends within a row behind `VALUES`.
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
                // Something else follows the rows.
                byte if depth == 0 && byte.is_ascii_alphabetic() => return false,
                _ => {}
            }
        }
        depth > 0
    }

    /// A statement is over.
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

    /// The first token of a statement.
    fn begin(&mut self, token: Token<'_>) -> Verdict {
        let Token::Word(word) = token else {
            // All but a parenthesis begins no statement.
            if token == Token::Sign(b'(') {
                return Verdict::Keep;
            }
            self.state = State::Over { is_written: true };
            return Verdict::Value;
        };
        // Nearly all are one of these.
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

    /// What is created or altered.
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

    /// Up to a `=` or `TO`.
    fn name(&mut self, token: Token<'_>, written: usize) -> Verdict {
        if let State::Named { start, is_whole } = self.state {
            match token {
                Token::Sign(b'.') => self.state = State::Named { start, is_whole: false },
                Token::Word(_) | Token::Quoted(_) if !is_whole => self.state = State::Named { start, is_whole: true },
                Token::Sign(b':') => {}
                Token::Sign(b'=') => self.state = State::Value { is_written: false },
                Token::Word(word) if is(word, &["TO"]) => self.state = State::Value { is_written: false },
                _ => {
                    // What was taken for a name is none.
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

    /// Of a text that ends in a name: where that begins, for it may be a value.
    pub(crate) const fn open_name(&self) -> Option<usize> {
        if let State::Named { start, .. } = self.state { Some(start) } else { None }
    }

    fn value(&mut self, token: Token<'_>, is_written: bool) -> Verdict {
        if self.depth == 0 {
            match token {
                // Another setting; PostgreSQL sets one, to a list.
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

/// Words of statements that change no mode for the one behind them in the same text; so do the four that read and write rows.
const HARMLESS: [&str; 13] =
    ["BEGIN", "COMMIT", "WITH", "REPLACE", "VALUES", "START", "ROLLBACK", "CREATE", "DROP", "TRUNCATE", "COPY", "LOCK", "SHOW"];

/// Words of `SET` behind which a value stands.
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

/// Maximum length of a name between quotes that is written.
const NAME_BYTES: usize = 130;

/// Whether this may be a name, with its quotes: letters, and little else.
#[inline(always)]
fn is_name(quoted: &[u8]) -> bool {
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    // Nearly all are words.
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
