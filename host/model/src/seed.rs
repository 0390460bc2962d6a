//! The seed of random numbers: from the system, never the same twice; or fixed, so that a replay repeats itself.

use std::fmt;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};

/// The source of all random numbers of one run: randomness of rows, ids of traces and spans. Clones give the same numbers.
#[derive(Clone, Default)]
pub struct Seed(Option<RandomState>);

/// The purpose that numbers are derived for. Numbers for one purpose reveal nothing about those for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Generator,
    TraceHigh,
    TraceLow,
    Span,
}

// === impl Seed ===

impl Seed {
    /// Creates a seed that the system keys once per run (SipHash-1-3): a reader of derived numbers cannot guess others.
    #[must_use]
    pub fn system() -> Self {
        Self(Some(RandomState::new()))
    }

    /// Creates the seed that is the same in every run of this binary.
    #[must_use]
    pub const fn fixed() -> Self {
        Self(None)
    }

    /// Returns the first state of the generator of this name.
    #[must_use]
    pub fn generator(&self, name: &str) -> u64 {
        self.derive(Purpose::Generator, name)
    }

    /// Returns the trace of an exchange, equal at both ends. Its low 56 bits are the randomness of their rows, so that both are kept or
    /// dropped together.
    #[must_use]
    pub fn trace_of(&self, correlation: u64) -> u128 {
        let high = u128::from(self.derive(Purpose::TraceHigh, &correlation) | 1);
        high << 64 | u128::from(self.derive(Purpose::TraceLow, &correlation))
    }

    /// Returns the span at the client's end of an exchange, which the server's end names as its parent.
    #[must_use]
    pub fn span_of(&self, correlation: u64) -> u64 {
        self.derive(Purpose::Span, &correlation) | 1
    }

    fn derive(&self, purpose: Purpose, value: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = self.0.as_ref().map_or_else(DefaultHasher::new, RandomState::build_hasher);
        hasher.write_u64(purpose as u64);
        value.hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Seed(of the system)" } else { "Seed(fixed)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_seed_derive_the_same_and_two_seeds_do_not() {
        let (one, other) = (Seed::system(), Seed::system());
        assert_eq!(one.trace_of(7), one.clone().trace_of(7));
        assert_ne!(one.trace_of(7), other.trace_of(7));
        assert_eq!(Seed::fixed().span_of(7), Seed::fixed().span_of(7));
    }

    #[test]
    fn what_is_derived_for_one_thing_is_not_what_is_derived_for_another() {
        let seed = Seed::fixed();
        let trace = seed.trace_of(7);
        let low = trace.to_be_bytes()[8..].try_into().map(u64::from_be_bytes).unwrap();
        let all =
            [(trace >> 64) as u64, low, seed.span_of(7), seed.trace_of(8) as u64, seed.generator("a"), seed.generator("b")];
        assert!(all.iter().enumerate().all(|(place, one)| !all[..place].contains(one)), "{all:x?}");
    }
}
