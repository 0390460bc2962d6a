//! Hashes of the values of fields.

use std::hash::Hasher;
use std::ops::Range;

use crate::columns::Columns;
use crate::wit::Column;

/// Hashes keys of tables by mixing. The tables are bounded, so that a peer gains nothing by colliding keys.
#[derive(Debug, Default)]
pub(crate) struct Mixed(u64);

/// Initial value of each row's hash.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns one number per row, of the columns with these indices: rows with equal values have equal numbers, here and in every other
/// instance. The function never changes: the next version of a plugin can continue the counts of this one.
///
/// # Errors
/// A column does not exist.
pub fn hashes(columns: &Columns, places: Range<usize>) -> Result<Vec<u64>, String> {
    let mut hashes = vec![SEED; columns.rows()];
    for place in places {
        match columns.get(place)? {
            Column::Boolean(values) => add(&mut hashes, values.iter().map(|&value| u64::from(value))),
            Column::U32(values) => add(&mut hashes, values.iter().map(|&value| u64::from(value))),
            Column::U64(values) => add(&mut hashes, values.iter().copied()),
            Column::I64(values) => add(&mut hashes, values.iter().map(|&value| value.cast_unsigned())),
            Column::F64(values) => add(&mut hashes, values.iter().map(|value| value.to_bits())),
            Column::Text(values) | Column::Bytes(values) => add(&mut hashes, values.iter().map(digest)),
        }
    }
    Ok(hashes)
}

fn add(hashes: &mut [u64], values: impl Iterator<Item = u64>) {
    hashes.iter_mut().zip(values).for_each(|(hash, value)| *hash = mix(*hash, value));
}

// === impl Mixed ===

impl Hasher for Mixed {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0, digest(bytes));
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.0 ^= u64::from(value) << 63;
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0, value);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.0 = mix(self.0, value as u64);
    }
}

/// Hashes bytes of any length.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    let mut hash = bytes.len() as u64;
    while let Some((eight, behind)) = rest.split_first_chunk() {
        hash = mix(hash, u64::from_le_bytes(*eight));
        rest = behind;
    }
    let last = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    mix(hash, last)
}

/// The finaliser of SplitMix64: every bit of the input reaches every bit of the output.
#[inline]
pub(crate) const fn mix(hash: u64, value: u64) -> u64 {
    let mut word = hash.wrapping_add(SEED) ^ value;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::hashes;
    use crate::{Column, Columns, Text};

    #[test]
    fn equal_values_have_equal_hashes_and_others_spread() {
        let pids = (0..4096).map(|row| row / 2).collect();
        let values = hashes(&Columns::new(4096, vec![Column::U32(pids)]), 0..1).unwrap();
        assert!(values.chunks(2).all(|pair| pair[0] == pair[1]));
        let upper_half = values.iter().filter(|value| **value >> 63 == 1).count();
        assert!((1900..2200).contains(&upper_half), "{upper_half} of 4096");
    }

    #[test]
    fn the_hash_of_a_value_never_changes() {
        let mut text = Text::with_capacity(1, 0);
        text.push("/etc/ld.so.cache");
        let columns = Columns::new(1, vec![Column::U32(vec![4711]), text.finish()]);
        let hash = hashes(&columns, 0..2).unwrap()[0];
        assert_eq!(hash >> 8, 65_702_096_778_263_713, "instances of other versions must agree");
    }
}
