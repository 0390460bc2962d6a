//! Mutated conversations.

use super::Talk;
use super::talk::decoder;
use crate::conversation::{Conversations, Protocol};
use crate::role::{Decoder, Handover};

/// The result of a run of mutated conversations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mutated {
    /// Number of conversations.
    pub conversations: u64,
    /// Number of their records.
    pub records: u64,
    /// Number of their rows.
    pub rows: u64,
}

/// Mutations of conversations, an endless sequence.
#[derive(Debug, Clone)]
pub struct Mutations {
    originals: Vec<Vec<Vec<u8>>>,
    dice: Dice,
    count: u64,
}

/// Pseudo-random numbers, the same in each run.
#[derive(Debug, Clone)]
struct Dice(u64);

/// Offsets of `struct l7_record` that are mutated.
const TIME: usize = 0;
const CONNECTION: usize = 8;
const SEQUENCE: usize = 24;
const TOTAL: usize = 28;
const KIND: usize = 46;
const DIRECTION: usize = 47;
const ROLE: usize = 48;
const FLAGS: usize = 50;
const PAYLOAD: usize = 104;

/// Replacements of numbers in text.
const NUMBERS: [&[u8]; 8] =
    [b"0", b"-1", b"2147483647", b"4294967295", b"9223372036854775807", b"18446744073709551616", b"ffffffffffffffff", b"1e9"];

/// Replacements of binary lengths.
const LENGTHS: [&[u8]; 4] = [&[0xff], &[0xff, 0x7f], &[0xff, 0xff, 0xff, 0x7f], &[0, 0, 0, 0x80]];

/// Passes this many mutations of these conversations to a decoder, a batch for each, with all columns made. It stops at the first panic, as
/// a test does; at intervals the state is handed over to a new instance.
///
/// # Panics
/// The protocol panics, or its output is not well-formed.
#[must_use]
#[allow(clippy::panic, reason = "for tests, which are to end there")]
pub fn mutated<P: Protocol>(talks: &[Talk], count: u64, seed: u64) -> Mutated {
    let mut mutations = Mutations::new(talks.iter().map(Talk::records).collect(), seed);
    let mut sum = Mutated::default();
    // Few connections, so that they are evicted, and a short timeout.
    let config = r#"{"connections": 64, "buffer_bytes": 65536, "timeout": "1s"}"#;
    let mut decoder: Conversations<P> = decoder(config);
    let fields: Vec<u32> = (0..).zip(&decoder.schema().fields).map(|(index, _)| index).collect();
    for conversation in 0..count {
        let records = mutations.next();
        let run = super::run(records.iter().map(Vec::as_slice));
        let decoded = decoder.decode(&run, &fields).unwrap_or_else(|error| panic!("{error}"));
        for column in &decoded.columns {
            assert_eq!(column.len(), decoded.rows as usize, "a column has a value for each row");
        }
        let rows: Vec<u32> = (0..decoded.rows).step_by(2).collect();
        decoder.complete(&run, &rows, &fields).unwrap_or_else(|error| panic!("{error}"));
        sum.conversations += 1;
        sum.records += records.len() as u64;
        sum.rows += u64::from(decoded.rows);
        if conversation % 512 == 511 {
            let state = decoder.export_state().unwrap_or_else(|error| panic!("{error}"));
            decoder = super::decoder(config);
            decoder.import_state(state).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    sum
}

// === impl Mutations ===

impl Mutations {
    /// Returns mutations of these conversations, each given as its records. The same seed makes the same mutations.
    #[must_use]
    pub const fn new(originals: Vec<Vec<Vec<u8>>>, seed: u64) -> Self {
        Self { originals, dice: Dice(seed | 1), count: 0 }
    }

    /// Returns the records of the next mutated conversation; empty without an original. The connection is a new one, or sometimes the one
    /// before.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "they have no end")]
    pub fn next(&mut self) -> Vec<Vec<u8>> {
        let Self { originals, dice, count } = self;
        let Some(original) = originals.get(dice.below(originals.len())) else { return Vec::new() };
        let mut records = original.clone();
        for _ in 0..=dice.below(4) {
            mutate(&mut records, originals, dice);
        }
        for record in &mut records {
            let connection = if dice.below(8) == 0 { count.saturating_sub(1) } else { *count };
            put(record, CONNECTION, &connection.to_le_bytes());
        }
        *count += 1;
        records
    }
}

/// Applies one mutation.
fn mutate(records: &mut Vec<Vec<u8>>, others: &[Vec<Vec<u8>>], dice: &mut Dice) {
    let at = dice.below(records.len());
    let to = dice.below(records.len());
    match dice.below(16) {
        0 => records.swap(at, to),
        1 => drop((records.len() > 1).then(|| records.remove(at))),
        2 => records.extend(records.get(at).cloned()),
        3 => {
            let other = others.get(dice.below(others.len())).and_then(|talk| talk.get(dice.below(talk.len())));
            records.splice(at..at, other.cloned());
        }
        change => {
            let Some(record) = records.get_mut(at) else { return };
            match change {
                4 => put(record, SEQUENCE, &(dice.next() as u32).to_le_bytes()),
                5 => put(record, TOTAL, &(dice.next() as u32 >> dice.below(32)).to_le_bytes()),
                6 => put(record, dice.one_of(&[KIND, DIRECTION, ROLE, FLAGS]), &[dice.below(8) as u8]),
                7 => put(record, TIME, &(dice.next() >> dice.below(64)).to_le_bytes()),
                8 => record.truncate(PAYLOAD + dice.below((record.len() + 1).saturating_sub(PAYLOAD))),
                9 => number(record, dice),
                _ => bytes(record, dice),
            }
        }
    }
}

/// Changes, removes or doubles some payload bytes.
fn bytes(record: &mut Vec<u8>, dice: &mut Dice) {
    if record.len() <= PAYLOAD {
        return;
    }
    let at = PAYLOAD + dice.below(record.len() - PAYLOAD);
    let to = at + dice.below(record.len() - at);
    match dice.below(5) {
        0 => put(record, at, &[dice.next() as u8]),
        1 => record.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
        2 => drop(record.drain(at..to)),
        3 => {
            let again: Vec<u8> = record.get(at..to).unwrap_or_default().to_vec();
            record.splice(at..at, again);
        }
        _ => put(record, at, dice.one_of(&LENGTHS)),
    }
}

/// Replaces a number in the payload.
fn number(record: &mut Vec<u8>, dice: &mut Dice) {
    let payload = record.get(PAYLOAD..).unwrap_or_default();
    let starts = payload.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(at, _)| at).collect::<Vec<_>>();
    let Some(&start) = starts.get(dice.below(starts.len())) else { return };
    let len = payload.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count();
    let start = PAYLOAD + start;
    record.splice(start..start + len, dice.one_of(&NUMBERS).iter().copied());
}

fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    record.iter_mut().skip(at).zip(bytes).for_each(|(place, &byte)| *place = byte);
}

// === impl Dice ===

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn one_of<T: Copy + Default>(&mut self, values: &[T]) -> T {
        values.get(self.below(values.len())).copied().unwrap_or_default()
    }

    /// Returns a number below `end`; 0 for 0.
    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) as usize).checked_rem(end).unwrap_or(0)
    }
}
