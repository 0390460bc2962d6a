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
    /// It is told, as such tokens are.
    Tell,
    /// It is a value.
    Value,
    /// It is a value, and so is all that was told from this byte on.
    ValueFrom(usize),
    /// It belongs to a value that was told.
    Swallow,
    /// It begins another statement, and the one before may change how that is read.
    Anew,
}

/// Follows a text token by token.
#[derive(Debug)]
pub(crate) struct Guard {
    is_postgres: bool,
    place: Place,
    /// Parentheses that are open in a value.
    depth: u32,
    /// The statement may change how the next is read.
    may_change_modes: bool,
    /// What was told is looked at for `VALUES` so far.
    looked_at: usize,
    /// Where the last one ends; 0 without one.
    values: usize,
    /// `COPY .. FROM STDIN`: what a client writes behind it in the same text is data.
    has_data: bool,
    /// `SET STATEMENT a = b FOR SELECT ..`
    is_for_one: bool,
}

/// Where in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
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
    /// Before a channel, then before what it is told.
    Channel,
    /// Before the name of a setting.
    Name,
    /// In it; it begins at this byte. `is_whole` if it does not end in a dot.
    Named { start: usize, is_whole: bool },
    /// In what a setting is set to, of which nothing or all was told.
    Value { is_told: bool },
    /// In what is told to the end of the statement as one value.
    Over { is_told: bool },
    /// Behind what is told.
    Gone,
}

// === impl Guard ===

impl Guard {
    pub(crate) const fn new(is_postgres: bool) -> Self {
        Self {
            is_postgres,
            place: Place::Start,
            depth: 0,
            may_change_modes: false,
            looked_at: 0,
            values: 0,
            has_data: false,
            is_for_one: false,
        }
    }

    /// What becomes of the next token. `told` is what was told before it; `is_qualified` says whether a dot stands behind it. Nearly all
    /// tokens are told as they are: the rest is elsewhere.
    #[inline(always)]
    pub(crate) fn judge(&mut self, token: Token<'_>, told: &[u8], is_qualified: impl FnOnce() -> bool) -> Verdict {
        if self.place != Place::Plain {
            return self.judge_word(token, told.len());
        }
        match token {
            // A string between the wrong quotes stands where a value does, or has in it what names have not.
            Token::Quoted(name) if !is_name(name) || (self.is_postgres && self.is_operand(told) && !is_qualified()) => {
                Verdict::Value
            }
            _ => Verdict::Tell,
        }
    }

    /// Whether what stands behind this is compared, assigned or stored.
    fn is_operand(&mut self, told: &[u8]) -> bool {
        let told = told.trim_ascii_end();
        match told.last() {
            Some(b'=' | b'<' | b'>' | b'~') => true,
            Some(b'(' | b',') => self.is_in_values(told),
            Some(b'e' | b'E') => told.last_chunk::<4>().is_some_and(|last| last.eq_ignore_ascii_case(b"like")),
            _ => false,
        }
    }

    /// Whether this ends within a row behind `VALUES`.
    fn is_in_values(&mut self, told: &[u8]) -> bool {
        const VALUES: &[u8] = b"values";
        let start = self.looked_at.min(told.len());
        let new = told.get(start..).unwrap_or_default();
        let is_values =
            |word: &[u8]| word.first().is_some_and(|first| first | 0x20 == b'v') && word.eq_ignore_ascii_case(VALUES);
        if let Some(place) = new.windows(VALUES.len()).rposition(is_values) {
            self.values = start + place + VALUES.len();
        }
        self.looked_at = told.len().saturating_sub(VALUES.len());
        if self.values == 0 {
            return false;
        }
        let mut depth = 0_u32;
        for byte in told.get(self.values..).unwrap_or_default() {
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
        if self.place == Place::Gone {
            return Verdict::Swallow;
        }
        let (has_data, may_change_modes) = (self.has_data, self.may_change_modes);
        *self = Self::new(self.is_postgres);
        if has_data {
            self.place = Place::Gone;
        }
        if may_change_modes { Verdict::Anew } else { Verdict::Tell }
    }

    #[inline(never)]
    fn judge_word(&mut self, token: Token<'_>, told: usize) -> Verdict {
        match self.place {
            Place::Start => return self.begin(token),
            Place::Kind { is_alter } => self.kind(token, is_alter),
            Place::Function => {
                if matches!(token, Token::Word(word) if is(word, &["SET"])) {
                    self.place = Place::Name;
                }
            }
            Place::Grants => {
                let is_last = match token {
                    Token::Word(word) => is(word, &["PASSWORD", "IDENTIFIED"]),
                    token => token == Token::Sign(b'='),
                };
                if is_last {
                    self.place = Place::Over { is_told: false };
                }
                return if matches!(token, Token::Quoted(name) if !is_name(name)) { Verdict::Value } else { Verdict::Tell };
            }
            Place::Channel => {
                if token == Token::Sign(b',') {
                    self.place = Place::Over { is_told: false };
                }
            }
            Place::Name | Place::Named { .. } => return self.name(token, told),
            Place::Value { is_told } => return self.value(token, is_told),
            Place::Over { is_told } => {
                self.place = Place::Over { is_told: true };
                return if is_told { Verdict::Swallow } else { Verdict::Value };
            }
            Place::Gone => return Verdict::Swallow,
            Place::Plain => {}
            Place::Copy => {
                self.has_data |= matches!(token, Token::Word(word) if is(word, &["STDIN"]));
                return if matches!(token, Token::Quoted(name) if !is_name(name)) { Verdict::Value } else { Verdict::Tell };
            }
        }
        Verdict::Tell
    }

    /// The first token of a statement.
    fn begin(&mut self, token: Token<'_>) -> Verdict {
        let Token::Word(word) = token else {
            // All but a parenthesis begins no statement.
            if token == Token::Sign(b'(') {
                return Verdict::Tell;
            }
            self.place = Place::Over { is_told: true };
            return Verdict::Value;
        };
        // Nearly all are one of these.
        if is(word, &["SELECT", "UPDATE", "INSERT", "DELETE"]) {
            self.place = Place::Plain;
            return Verdict::Tell;
        }
        let is_harmless = is(word, &HARMLESS);
        self.place = match word.len() {
            3 if is(word, &["SET"]) => Place::Name,
            4 if is(word, &["COPY"]) => Place::Copy,
            5 if is(word, &["GRANT", "START"]) => Place::Grants,
            5 if is(word, &["ALTER"]) => Place::Kind { is_alter: true },
            6 if is(word, &["CREATE"]) => Place::Kind { is_alter: false },
            6 if is(word, &["REVOKE"]) => Place::Grants,
            6 if is(word, &["CHANGE"]) => Place::Over { is_told: false },
            6 if is(word, &["NOTIFY"]) => Place::Channel,
            _ if !is_harmless && Operation::named(word).is_other() => Place::Over { is_told: true },
            _ => Place::Plain,
        };
        self.may_change_modes = !is_harmless;
        if self.place == (Place::Over { is_told: true }) { Verdict::Value } else { Verdict::Tell }
    }

    /// What is created or altered.
    fn kind(&mut self, token: Token<'_>, is_alter: bool) {
        let Token::Word(word) = token else { return };
        self.place =
            if is(word, &["USER", "ROLE", "GROUP", "SERVER", "SUBSCRIPTION", "SYSTEM", "LOGIN", "CONNECTION", "SECRET"])
                || is_alter && is(word, &["DATABASE", "INSTANCE", "EVENT"])
            {
                Place::Over { is_told: false }
            } else if self.is_postgres && is(word, &["FUNCTION", "PROCEDURE", "ROUTINE"]) {
                Place::Function
            } else if is(word, &["OR", "REPLACE", "AGGREGATE", "DEFINER", "SQL", "SECURITY", "IF", "NOT", "EXISTS"]) {
                Place::Kind { is_alter }
            } else {
                Place::Plain
            };
    }

    /// Up to a `=` or `TO`.
    fn name(&mut self, token: Token<'_>, told: usize) -> Verdict {
        if let Place::Named { start, is_whole } = self.place {
            match token {
                Token::Sign(b'.') => self.place = Place::Named { start, is_whole: false },
                Token::Word(_) | Token::Quoted(_) if !is_whole => self.place = Place::Named { start, is_whole: true },
                Token::Sign(b':') => {}
                Token::Sign(b'=') => self.place = Place::Value { is_told: false },
                Token::Word(word) if is(word, &["TO"]) => self.place = Place::Value { is_told: false },
                _ => {
                    // What was taken for a name is none.
                    self.place = Place::Value { is_told: true };
                    self.count(token);
                    return Verdict::ValueFrom(start);
                }
            }
            return Verdict::Tell;
        }
        match token {
            Token::Sign(b'@' | b'.' | b':' | b',') => {}
            Token::Word(word) if is(word, &["STATEMENT"]) => self.is_for_one = true,
            Token::Word(word) if is(word, &BEFORE_VALUES) => self.place = Place::Value { is_told: false },
            Token::Word(word) if is(word, &BEFORE_NAMES) => {}
            Token::Quoted(name) if !is_name(name) => {
                self.place = Place::Value { is_told: true };
                return Verdict::Value;
            }
            Token::Word(_) | Token::Quoted(_) => self.place = Place::Named { start: told, is_whole: true },
            _ => {
                self.place = Place::Value { is_told: true };
                self.count(token);
                return Verdict::Value;
            }
        }
        Verdict::Tell
    }

    /// Of a text that ends in a name: where that begins, for it may be a value.
    pub(crate) const fn open_name(&self) -> Option<usize> {
        if let Place::Named { start, .. } = self.place { Some(start) } else { None }
    }

    fn value(&mut self, token: Token<'_>, is_told: bool) -> Verdict {
        if self.depth == 0 {
            match token {
                // Another setting; PostgreSQL sets one, to a list.
                Token::Sign(b',') if !self.is_postgres => {
                    self.place = Place::Name;
                    return Verdict::Tell;
                }
                Token::Word(word) if self.is_for_one && is(word, &["FOR"]) => {
                    self.place = Place::Start;
                    return Verdict::Tell;
                }
                _ => {}
            }
        }
        self.count(token);
        self.place = Place::Value { is_told: true };
        if is_told { Verdict::Swallow } else { Verdict::Value }
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

/// Bytes of the longest name between quotes that is told.
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
