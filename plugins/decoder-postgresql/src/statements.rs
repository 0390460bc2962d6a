//! The names of a session's prepared statements and portals.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use sql::Statement;

/// Statements by the names that a session gave them. Only a hash of each name is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct NamedStatements {
    unnamed: Option<Rc<Statement>>,
    named: BTreeMap<u64, Rc<Statement>>,
}

/// A name that was assigned again, and its earlier statement.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReplacedName {
    hash: u64,
    statement: Option<Rc<Statement>>,
}

/// Maximum number of names of a session that are stored; drivers hold up to 256 statements. With 16 bytes for each, all connections of a
/// full table take 32 MiB. The execution of a dropped one is counted, without its operation.
const MAX_NAMES: usize = 256;

// === impl NamedStatements ===

impl NamedStatements {
    /// Assigns a name to a statement; returns the name's earlier statement, None for the unnamed one.
    pub(crate) fn put(&mut self, name: &[u8], statement: Rc<Statement>) -> Option<ReplacedName> {
        if name.is_empty() {
            self.unnamed = Some(statement);
            return None;
        }
        let hash = hash(name);
        let before = self.named.insert(hash, statement);
        if self.named.len() > MAX_NAMES {
            // The choice is arbitrary: hashes have no order.
            self.named.pop_first();
        }
        Some(ReplacedName { hash, statement: before })
    }

    /// Restores a name's earlier statement.
    pub(crate) fn restore(&mut self, name: ReplacedName) {
        match name.statement {
            Some(statement) => drop(self.named.insert(name.hash, statement)),
            None => drop(self.named.remove(&name.hash)),
        }
    }

    /// Returns the statement of this name.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Rc<Statement>> {
        if name.is_empty() { self.unnamed.clone() } else { self.named.get(&hash(name)).cloned() }
    }

    /// Returns the number of bytes on the heap, with the overhead of a tree.
    pub(crate) fn weight(&self) -> usize {
        self.named.len() * 2 * size_of::<(u64, Rc<Statement>)>()
    }

    /// Forgets a name.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(&hash(name));
        }
    }
}

/// FNV-1a: a session with two names of the same hash affects only its own rows.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use sql::{Operation, Statement};

    use super::{MAX_NAMES, NamedStatements};

    #[test]
    fn a_name_stands_for_a_statement_until_it_is_closed() {
        let mut names = NamedStatements::default();
        for (name, operation) in [("", "SELECT"), ("s1", "UPDATE")] {
            names.put(name.as_bytes(), Rc::new(Statement::bare(Operation::named(operation.as_bytes()))));
        }
        let operation = |names: &NamedStatements, name: &[u8]| names.get(name).map(|statement| statement.operation.name());
        assert_eq!(
            (operation(&names, b""), operation(&names, b"s1"), operation(&names, b"s2")),
            (Some("SELECT"), Some("UPDATE"), None)
        );
        names.remove(b"");
        names.remove(b"s1");
        assert_eq!((operation(&names, b""), operation(&names, b"s1")), (None, None));
    }

    #[test]
    fn no_more_names_are_kept_than_the_cap() {
        let mut names = NamedStatements::default();
        (0..3 * MAX_NAMES).for_each(|number| drop(names.put(format!("s{number}").as_bytes(), Rc::new(Statement::default()))));
        assert_eq!(names.named.len(), MAX_NAMES);
    }
}
