//! Stores known statements, each once, regardless of the number of connections that use it.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use plugin_sdk::scan::{eight, same};

use crate::lexer::Dialect;
use crate::operation::Operation;
use crate::sanitise::{Found, sanitise};
use crate::statement::Statement;

/// Reads statements, and stores each once.
#[derive(Debug)]
pub struct Library {
    known: HashMap<u64, Rc<Statement>, BuildHasherDefault<Hashed>>,
    /// Statements of which only the operation is stored, because the maximum is reached.
    bare: Vec<Rc<Statement>>,
    collections: BTreeSet<Box<str>>,
    text: Vec<u8>,
}

/// A hasher for keys that are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

/// The result of reading a statement.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The statement.
    pub statement: Rc<Statement>,
    /// The `traceparent` in a comment of it.
    pub trace_parent: Option<&'a str>,
    /// Whether comments that are executed may set something that its text does not show.
    pub may_set: bool,
}

/// Maximum number of statements that are stored. An application has hundreds; of further texts only the operation is stored. Times a
/// statement's few KiB this is the maximum memory for SQL.
const STATEMENTS: usize = 2048;
/// Maximum number of table names that metrics distinguish; further ones become [`OTHER`].
const COLLECTIONS: usize = 512;
/// The name of all further tables.
const OTHER: &str = "_OTHER";

// === impl Library ===

impl Library {
    /// Returns an empty library.
    #[must_use]
    pub fn new() -> Self {
        Self { known: HashMap::default(), bare: Vec::new(), collections: BTreeSet::new(), text: Vec::new() }
    }

    /// Reads a statement. `is_cut` is whether its end was not captured.
    pub fn read<'a>(&mut self, sql: &'a [u8], dialect: Dialect, is_cut: bool) -> Reading<'a> {
        let mut text = std::mem::take(&mut self.text);
        let Found { trace_parent, may_set } = sanitise(sql, dialect, is_cut, &mut text);
        let statement = self.find(&text, dialect);
        self.text = text;
        Reading { statement, trace_parent, may_set }
    }

    /// Returns the statement of which only the operation is known.
    pub fn bare(&mut self, operation: Operation) -> Rc<Statement> {
        if let Some(known) = self.bare.iter().find(|known| known.operation == operation) {
            return Rc::clone(known);
        }
        let statement = Rc::new(Statement::bare(operation));
        // At most one per operation.
        self.bare.push(Rc::clone(&statement));
        statement
    }

    fn find(&mut self, text: &[u8], dialect: Dialect) -> Rc<Statement> {
        let key = hash(text);
        if let Some(known) = self.known.get(&key).filter(|known| same(known.text.as_bytes(), text)) {
            return Rc::clone(known);
        }
        let mut statement = Statement::read(&String::from_utf8_lossy(text), dialect);
        if !self.collections.contains(&statement.collection) {
            if self.collections.len() < COLLECTIONS {
                self.collections.insert(statement.collection.clone());
            } else {
                statement.collection = OTHER.into();
            }
        }
        if self.known.len() >= STATEMENTS {
            self.known.retain(|_, known| Rc::strong_count(known) > 1);
        }
        if self.known.len() >= STATEMENTS {
            return self.bare(statement.operation);
        }
        let statement = Rc::new(statement);
        self.known.insert(key, Rc::clone(&statement));
        statement
    }
}

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Default for Library {
    fn default() -> Self {
        Self::new()
    }
}

/// Hashes eight bytes at a time. If a client makes two texts collide, one of them is read anew each time.
fn hash(text: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = text.as_chunks::<8>();
    let hash = words.iter().fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(mix(hash, eight(rest)), 0)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{COLLECTIONS, Library, STATEMENTS};
    use crate::{Backslash, Dialect};

    const PG: Dialect = Dialect::PostgreSql { backslash: Backslash::Plain, is_wide: false };

    #[test]
    fn statements_that_differ_in_values_are_one() {
        let mut library = Library::new();
        let one = library.read(b"SELECT a FROM t WHERE b = 1", PG, false).statement;
        let two = library.read(b"SELECT a\nFROM t WHERE b = 'x' -- y", PG, false).statement;
        assert!(Rc::ptr_eq(&one, &two));
        assert_eq!(&*one.text, "SELECT a FROM t WHERE b = ?");
    }

    #[test]
    fn what_nobody_uses_makes_room_and_what_does_not_fit_is_told_by_its_operation() {
        let mut library = Library::new();
        let text = |number: usize| format!("UPDATE t SET a{number} = 1");
        let mut used = Vec::new();
        for number in 0..STATEMENTS {
            used.push(library.read(text(number).as_bytes(), PG, false).statement);
        }
        let more = library.read(text(STATEMENTS).as_bytes(), PG, false).statement;
        assert_eq!((more.operation.name(), &*more.text, &*more.summary), ("UPDATE", "", "UPDATE"));
        used.truncate(10);
        let more = library.read(text(STATEMENTS).as_bytes(), PG, false).statement;
        assert_eq!(&*more.text, format!("UPDATE t SET a{STATEMENTS} = ?"));
        assert_eq!(library.known.len(), 11);
    }

    #[test]
    fn tables_beyond_the_cap_share_a_name() {
        let mut library = Library::new();
        for number in 0..COLLECTIONS + 10 {
            let sql = format!("SELECT a FROM t{number}");
            let collection = library.read(sql.as_bytes(), PG, false).statement.collection.clone();
            assert_eq!(&*collection == "_OTHER", number >= COLLECTIONS, "{sql}");
        }
        assert_eq!(&*library.read(b"SELECT b FROM t0", PG, false).statement.collection, "t0");
    }

    #[test]
    fn only_the_bare_operation_of_a_hostile_flood_is_kept() {
        let mut library = Library::new();
        let kept: Vec<_> = (0..STATEMENTS + 10)
            .map(|number| library.read(format!("SELECT x{number}").as_bytes(), PG, false).statement)
            .collect();
        assert!(library.known.len() <= STATEMENTS && library.bare.len() == 1 && kept.len() > STATEMENTS);
    }
}
