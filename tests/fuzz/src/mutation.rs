//! Mutations without libFuzzer: the same inputs from the same seed, on every machine.

/// A source of mutated inputs.
pub struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    state: u64,
}

/// Values at which an integer overflows or changes sign.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// Maximum length of an input.
const LONGEST: usize = 64 << 10;

// === impl Mutations ===

impl<'a> Mutations<'a> {
    /// Creates mutations of these inputs; at least one.
    #[must_use]
    pub const fn new(corpus: &'a [Vec<u8>], seed: u64) -> Self {
        Self { corpus, state: seed }
    }

    /// Returns the next input: one of the corpus after one to eight changes.
    ///
    /// # Panics
    /// The corpus is empty.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.corpus[self.below(self.corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let length = self.below(16).min(input.len() - at);
        match self.below(7) {
            0 => input.insert(at, self.any() as u8),
            1 => drop(input.drain(at..at + length)),
            2 => {
                let piece = input[at..at + length].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                // A piece of another input.
                let other = &self.corpus[self.below(self.corpus.len())];
                let from = self.below(other.len() + 1);
                let to = (from + self.below(64)).min(other.len());
                input.splice(at..at + length, other[from..to].iter().copied());
            }
            4 => {
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][self.below(4)];
                input.iter_mut().skip(at).zip(&edge[..width]).for_each(|(byte, &new)| *byte = new);
            }
            5 => input.truncate(at),
            _ => {
                let bit = 1 << self.below(8);
                input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
            }
        }
    }

    fn below(&mut self, end: usize) -> usize {
        (self.any() % end.max(1) as u64) as usize
    }

    /// Returns 64 bits (SplitMix64).
    fn any(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }
}
