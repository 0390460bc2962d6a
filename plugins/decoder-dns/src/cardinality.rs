//! Names as dimensions: up to a maximum number of names, and `*` for all others.

use std::collections::HashSet;

/// The names that have a series of their own in metrics, as hashes.
#[derive(Debug, Default)]
pub(crate) struct CountedNames {
    known: HashSet<u64>,
}

/// Maximum number of names that have a series of their own. More would displace types, codes and programs, which share the cardinality.
const MAX_NAMES: usize = 256;

// === impl CountedNames ===

impl CountedNames {
    /// Whether this name is counted separately. It is, while there is room, once an answer without an error has `earned` it, so that
    /// invented names do not fill the set.
    pub(crate) fn is_counted(&mut self, name: u64, earned: bool) -> bool {
        self.known.contains(&name) || (earned && self.known.len() < MAX_NAMES && self.known.insert(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{CountedNames, MAX_NAMES};

    #[test]
    fn the_first_names_that_were_answered_have_a_place() {
        let mut names = CountedNames::default();
        assert!(!names.is_counted(7, false));
        assert!((0..MAX_NAMES as u64).all(|name| names.is_counted(name, true)));
        assert!(!names.is_counted(MAX_NAMES as u64, true));
        assert!(names.is_counted(7, false), "it was answered before");
    }
}
