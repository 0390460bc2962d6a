//! Names that are dimensions: as many as there is room for, and `*` for all others.

use std::collections::HashSet;

/// The names that were met first, as numbers.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashSet<u64>,
}

/// So many names have a series of their own. More would drive out what they share the cardinality with: types, codes, programs.
const MOST: usize = 256;

// === impl Names ===

impl Names {
    /// Whether this name has a place of its own. It gets one, while there are any, once it is `earned`: by an answer, so that names
    /// that somebody makes up do not take them all.
    pub(crate) fn has(&mut self, name: u64, earned: bool) -> bool {
        self.known.contains(&name) || (earned && self.known.len() < MOST && self.known.insert(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Names};

    #[test]
    fn the_first_names_that_were_answered_have_a_place() {
        let mut names = Names::default();
        assert!(!names.has(7, false));
        assert!((0..MOST as u64).all(|name| names.has(name, true)));
        assert!(!names.has(MOST as u64, true));
        assert!(names.has(7, false), "it was answered before");
    }
}
