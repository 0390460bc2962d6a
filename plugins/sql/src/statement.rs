//! Operation and tables of a statement, read from its sanitised text.

use serde::{Deserialize, Serialize};

use crate::lexer::{Backslash, Dialect, Lexer, Token};
use crate::operation::Operation;
use crate::sanitise::TEXT_BYTES;

/// The public parts of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statement {
    /// Its operation; if the text holds several statements, that of the first.
    pub operation: Operation,
    /// Number of statements in the text; 0 if it is unknown.
    pub statements: u16,
    /// Whether all of them have the same operation.
    pub is_uniform: bool,
    /// The first table, as written but without quotes; empty if there is none.
    pub collection: Box<str>,
    /// Operations and tables in their order, at most 255 bytes: `SELECT orders customers`.
    pub summary: Box<str>,
    /// The text without values.
    pub text: Box<str>,
    /// Whether it may change how its session reads later statements: it sets something, ends a transaction in which something was set, or
    /// is not sufficiently known.
    pub may_set: bool,
}

/// Maximum length of a table's name with its schema; the rest is cut.
const NAME_BYTES: usize = 128;
/// Maximum length of a summary, by the semantic conventions.
const SUMMARY_BYTES: usize = 255;
/// Maximum depth of parentheses that is counted.
const DEPTH: usize = 64;

/// The meaning of a keyword for the words behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cue {
    /// It begins a query: `SELECT`.
    Verb,
    /// A table follows: `INTO`.
    Table,
    /// A table follows if this is a clause of a query: `FROM`. In `extract(year FROM day)` none follows.
    From,
    /// Occurs between a cue and its table: `ONLY`.
    Filler,
    /// Ends a list of tables: `WHERE`.
    Clause,
}

/// Reads the words of a statement in order.
struct Reader<'a> {
    tokens: std::iter::Peekable<Lexer<'a>>,
    /// For each open parenthesis, whether it contains a query.
    queries: Vec<bool>,
    statement: Statement,
    summary: String,
    collection: String,
    last_word: &'a [u8],
    /// Whether the last item was a table, so that a comma is followed by another.
    in_tables: bool,
    /// Whether the statement began with `WITH`: its operation is behind the names.
    awaits_verb: bool,
    /// Whether `FROM` is not followed by a table: `FETCH ALL FROM cursor`.
    is_without_tables: bool,
    /// Whether the rest does not affect the operation and the tables.
    is_over: bool,
    /// Whether all statements only read or write rows.
    is_harmless: bool,
}

// === impl Statement ===

impl Statement {
    /// Reads a sanitised text, which has no string that could be read in different ways.
    pub(crate) fn read(text: &str, dialect: Dialect) -> Self {
        let (backslash, is_wide) = (Backslash::Plain, false);
        let dialect = match dialect {
            Dialect::PostgreSql { .. } => Dialect::PostgreSql { backslash, is_wide },
            Dialect::MySql { .. } => Dialect::MySql { backslash, is_wide },
        };
        let mut reader = Reader {
            tokens: Lexer::new(text.as_bytes(), dialect).peekable(),
            queries: Vec::new(),
            statement: Self { is_uniform: true, ..Self::default() },
            summary: String::new(),
            collection: String::new(),
            last_word: b"",
            in_tables: false,
            awaits_verb: false,
            is_without_tables: false,
            is_over: false,
            is_harmless: true,
        };
        reader.run();
        let Reader { statement, summary, collection, is_harmless, .. } = reader;
        let may_set = !is_harmless || statement.statements == 0 || text.len() >= TEXT_BYTES || has_call_that_sets(text);
        Self { collection: collection.into(), summary: summary.into(), text: text.into(), may_set, ..statement }
    }

    /// Returns a statement of which only the operation is known.
    #[must_use]
    pub fn bare(operation: Operation) -> Self {
        let statements = u16::from(!operation.is_empty());
        Self { operation, statements, is_uniform: true, summary: operation.name().into(), may_set: true, ..Self::default() }
    }

    /// Returns the operation, and whether there are several: `SELECT`, `BATCH SELECT`, `BATCH`, as two words of which either may be empty.
    #[must_use]
    pub const fn operation_words(&self) -> (&'static str, &'static str) {
        match (self.statements > 1, self.is_uniform) {
            (false, _) => ("", self.operation.name()),
            (true, true) => ("BATCH ", self.operation.name()),
            (true, false) => ("BATCH", ""),
        }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn run(&mut self) {
        let mut at_start = true;
        while !self.is_over
            && let Some((_, token)) = self.tokens.next()
        {
            match token {
                Token::Sign(b';') => {
                    at_start = true;
                    self.queries.clear();
                    self.in_tables = false;
                }
                Token::Sign(b'(') => {
                    let is_query = matches!(self.peek(), Some(Token::Word(word)) if is(word, &["SELECT", "WITH", "VALUES", "TABLE"]))
                        || matches!(self.peek(), Some(Token::Sign(b'(')));
                    if self.queries.len() < DEPTH {
                        self.queries.push(is_query);
                    }
                    self.in_tables = false;
                }
                Token::Sign(b')') => {
                    self.queries.pop();
                }
                // The statement began with an unknown word.
                Token::Sign(b'?') if at_start && self.queries.is_empty() => {
                    self.begin(b"?");
                    at_start = false;
                }
                Token::Sign(b',') if self.in_tables => self.table(true),
                Token::Word(word) => {
                    self.word(word, at_start);
                    at_start = false;
                    self.last_word = word;
                }
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &'a [u8], at_start: bool) {
        if at_start {
            return self.begin(word);
        }
        match cue(word) {
            Some(Cue::Verb) if is(self.last_word, &["FOR", "ON", "DO", "KEY", "NO", "THEN"]) => {}
            Some(Cue::Verb) => {
                self.in_tables = false;
                let operation = Operation::named(word);
                // `WITH a AS (..) UPDATE b`: the operation is behind the names.
                if self.queries.is_empty() && std::mem::take(&mut self.awaits_verb) {
                    self.statement.operation = operation;
                }
                self.tell(operation.name());
                if is(word, &["UPDATE"]) {
                    self.table(false);
                }
            }
            Some(Cue::Table) => self.table(false),
            Some(Cue::From) if self.is_clause() => self.table(true),
            Some(Cue::Clause) => self.in_tables = false,
            _ => {}
        }
    }

    /// Whether a `FROM` is that of a query: not that of `extract(year FROM day)`, of `IS DISTINCT FROM`, or of a cursor or a user.
    fn is_clause(&self) -> bool {
        self.queries.last().is_none_or(|is_query| *is_query) && !is(self.last_word, &["DISTINCT"]) && !self.is_without_tables
    }

    /// Handles the first word of a statement.
    fn begin(&mut self, word: &'a [u8]) {
        let operation = Operation::named(word);
        let is_first = self.statement.statements == 0;
        self.statement.statements = self.statement.statements.saturating_add(1);
        if is_first {
            self.statement.operation = operation;
        } else {
            self.statement.is_uniform &= operation == self.statement.operation;
        }
        self.is_harmless &= is(word, &["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "VALUES", "WITH", "COPY", "BEGIN"]);
        self.is_without_tables = is(word, &["FETCH", "MOVE", "GRANT", "REVOKE"]);
        if is(word, &["WITH"]) {
            self.awaits_verb = is_first;
            return;
        }
        self.tell(operation.name());
        if is(word, &["CREATE", "DROP", "ALTER"]) {
            // The kind of object: a table, an index. `CREATE UNIQUE INDEX` creates an index.
            while let Some(Token::Word(kind)) = self.peek() {
                if is(kind, &["TABLE", "INDEX", "VIEW", "DATABASE", "SCHEMA", "SEQUENCE", "FUNCTION", "PROCEDURE", "TRIGGER"]) {
                    let kind = String::from_utf8_lossy(kind).to_ascii_uppercase();
                    self.tell(&kind);
                    self.tokens.next();
                    // Statements follow that are not executed now.
                    self.is_over = is(word, &["CREATE"]) && matches!(&*kind, "FUNCTION" | "PROCEDURE" | "TRIGGER");
                    if matches!(&*kind, "TABLE" | "VIEW") {
                        self.table(false);
                    }
                    break;
                }
                if !is(kind, &["OR", "REPLACE", "UNIQUE", "TEMP", "TEMPORARY", "UNLOGGED", "MATERIALIZED", "GLOBAL", "LOCAL"]) {
                    break;
                }
                self.tokens.next();
            }
        } else if is(word, &["UPDATE", "COPY", "TRUNCATE", "CALL", "LOCK", "DESCRIBE", "DESC", "VACUUM", "ANALYZE"]) {
            self.table(false);
        }
    }

    /// Reads a table, if one follows. If a function may follow as well, a parenthesis behind the name identifies it.
    fn table(&mut self, may_be_function: bool) {
        self.in_tables = false;
        while matches!(self.peek(), Some(Token::Word(word)) if cue(word) == Some(Cue::Filler)) {
            self.tokens.next();
        }
        let mut name = String::new();
        loop {
            match self.peek() {
                Some(Token::Word(word)) if name.is_empty() && cue(word).is_some() => return,
                Some(Token::Word(word)) => push(&mut name, word),
                Some(Token::Quoted(word)) => push(&mut name, word.get(1..word.len().saturating_sub(1)).unwrap_or_default()),
                _ => return,
            }
            self.tokens.next();
            if self.peek() != Some(Token::Sign(b'.')) {
                break;
            }
            self.tokens.next();
            name.push('.');
        }
        if may_be_function && self.peek() == Some(Token::Sign(b'(')) {
            return;
        }
        self.last_word = b"";
        self.in_tables = true;
        self.tell(&name);
        if self.collection.is_empty() {
            self.collection = name;
        }
    }

    fn peek(&mut self) -> Option<Token<'a>> {
        self.tokens.peek().map(|(_, token)| *token)
    }

    fn tell(&mut self, word: &str) {
        let space = usize::from(!self.summary.is_empty());
        if self.summary.len() + space + word.len() <= SUMMARY_BYTES {
            if space > 0 {
                self.summary.push(' ');
            }
            self.summary.push_str(word);
        }
    }
}

/// Whether the text calls a function with the effect of `SET`.
fn has_call_that_sets(text: &str) -> bool {
    const NAME: &[u8] = b"set_config";
    text.as_bytes().windows(NAME.len()).any(|window| window.eq_ignore_ascii_case(NAME))
}

/// Adds a part of a name, up to the maximum length.
fn push(name: &mut String, part: &[u8]) {
    let room = NAME_BYTES.saturating_sub(name.len());
    let part = String::from_utf8_lossy(part);
    let end = part.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last().unwrap_or(0);
    name.push_str(part.get(..end).unwrap_or_default());
}

fn is(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

fn cue(word: &[u8]) -> Option<Cue> {
    if is(word, &["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"]) {
        Some(Cue::Verb)
    } else if is(word, &["INTO", "JOIN"]) {
        Some(Cue::Table)
    } else if is(word, &["FROM", "USING"]) {
        Some(Cue::From)
    } else if is(word, &["ONLY", "IF", "NOT", "EXISTS", "IGNORE", "LOW_PRIORITY", "TABLE", "LATERAL", "CONCURRENTLY", "QUICK"])
    {
        Some(Cue::Filler)
    } else if is(
        word,
        &["WHERE", "SET", "VALUES", "GROUP", "ORDER", "LIMIT", "ON", "HAVING", "UNION", "RETURNING", "STDIN", "STDOUT"],
    ) {
        Some(Cue::Clause)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Statement;
    use crate::{Backslash, Dialect};

    fn of(sql: &str) -> (String, String) {
        let statement = Statement::read(sql, Dialect::PostgreSql { backslash: Backslash::Plain, is_wide: false });
        assert_eq!(&*statement.text, sql);
        (statement.summary.into(), statement.collection.into())
    }

    fn tells(sql: &str, summary: &str, collection: &str) {
        assert_eq!(of(sql), (summary.to_owned(), collection.to_owned()), "{sql}");
    }

    #[test]
    fn a_query_is_summed_up_by_its_operations_and_tables() {
        tells("SELECT abalance FROM pgbench_accounts WHERE aid = ?", "SELECT pgbench_accounts", "pgbench_accounts");
        tells("select * from a x, \"B c\".d AS y join e on x.i = y.i", "SELECT a B c.d e", "a");
        tells("INSERT INTO shop.items (a, b) SELECT c FROM d", "INSERT shop.items SELECT d", "shop.items");
        tells("UPDATE ONLY t SET a = ? WHERE b = ?", "UPDATE t", "t");
        tells("DELETE FROM t USING u WHERE t.a = u.a", "DELETE t u", "t");
        tells("SELECT a FROM (SELECT b FROM c) d WHERE e IN (SELECT f FROM g)", "SELECT SELECT c SELECT g", "c");
        tells("WITH x AS (SELECT a FROM b) UPDATE c SET d = ?", "SELECT b UPDATE c", "b");
    }

    #[test]
    fn words_that_only_look_like_clauses_name_no_table() {
        tells("SELECT extract(year FROM day), substring(a FROM ?) FROM t", "SELECT t", "t");
        tells("SELECT a IS DISTINCT FROM b FROM t", "SELECT t", "t");
        tells("SELECT i FROM generate_series(?) i", "SELECT", "");
        tells("SELECT a FROM t FOR UPDATE", "SELECT t", "t");
        tells("INSERT INTO t VALUES (?) ON CONFLICT (a) DO UPDATE SET b = ?", "INSERT t", "t");
        tells("INSERT INTO t VALUES (?) ON DUPLICATE KEY UPDATE a = ?", "INSERT t", "t");
        tells("SELECT ?", "SELECT", "");
        tells("", "", "");
    }

    #[test]
    fn other_statements_are_told_too() {
        tells("CREATE TABLE IF NOT EXISTS t (a int)", "CREATE TABLE t", "t");
        tells("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX", "");
        tells("DROP TABLE t", "DROP TABLE t", "t");
        tells("COPY t FROM STDIN", "COPY t", "t");
        tells("TRUNCATE TABLE t", "TRUNCATE t", "t");
        tells("CALL pay(?)", "CALL pay", "pay");
        tells("FETCH FORWARD ? FROM \"cursor 7\"", "FETCH", "");
        tells("BEGIN", "BEGIN", "");
        tells("frobnicate t", "_OTHER", "");
    }

    #[test]
    fn several_statements_are_counted() {
        let of = |sql| Statement::read(sql, Dialect::MySql { backslash: Backslash::Escapes, is_wide: false });
        let several = of("BEGIN; SELECT a FROM `t`; COMMIT");
        assert_eq!((several.statements, several.is_uniform, &*several.summary), (3, false, "BEGIN SELECT t COMMIT"));
        assert_eq!(of("CREATE PROCEDURE p() BEGIN SELECT ?; SELECT ?; END").statements, 1);
        let same = of("DELETE FROM a; DELETE FROM b");
        assert_eq!((same.statements, same.is_uniform, same.operation.name()), (2, true, "DELETE"));
    }

    #[test]
    fn a_long_statement_has_a_short_summary() {
        let tables: Vec<String> = (0..200).map(|number| format!("table_{number}")).collect();
        let (summary, _) = of(&format!("SELECT a FROM {}", tables.join(", ")));
        assert!(summary.len() <= 255 && summary.ends_with(" table_27"), "{summary}");
        assert_eq!(of(&format!("SELECT a FROM \"{}\"", "é".repeat(100))).1.len(), 128);
    }
}
