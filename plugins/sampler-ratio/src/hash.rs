//! Randomness out of the values of fields: rows with equal values fare alike, here and in every other instance.

use std::ops::Range;

use plugin_sdk::{Column, Columns};

/// The low bits that a randomness does not have: it is 56 bits.
const UNUSED_BITS: u32 = 8;
/// Where each row's hash begins.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// One 56-bit value per row, of the columns in these places.
///
/// # Errors
/// A column is not there.
pub(crate) fn randomness(columns: &Columns, places: Range<usize>) -> Result<Vec<u64>, String> {
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
    hashes.iter_mut().for_each(|hash| *hash >>= UNUSED_BITS);
    Ok(hashes)
}

fn add(hashes: &mut [u64], values: impl Iterator<Item = u64>) {
    hashes.iter_mut().zip(values).for_each(|(hash, value)| *hash = mix(*hash, value));
}

/// One number for bytes of any length.
fn digest(bytes: &[u8]) -> u64 {
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
fn mix(hash: u64, value: u64) -> u64 {
    let mut word = hash.wrapping_add(SEED) ^ value;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::randomness;
    use plugin_sdk::{Column, Columns, Text};

    #[test]
    fn equal_values_have_equal_randomness_and_others_spread_over_56_bits() {
        let pids = (0..4096).map(|row| row / 2).collect();
        let values = randomness(&Columns::new(4096, vec![Column::U32(pids)]), 0..1).unwrap();
        assert!(values.chunks(2).all(|pair| pair[0] == pair[1] && pair[0] >> 56 == 0));
        let upper_half = values.iter().filter(|value| **value >> 55 == 1).count();
        assert!((1900..2200).contains(&upper_half), "{upper_half} of 4096");
    }

    #[test]
    fn the_randomness_of_a_value_never_changes() {
        let mut text = Text::with_capacity(1, 0);
        text.push("/etc/ld.so.cache");
        let columns = Columns::new(1, vec![Column::U32(vec![4711]), text.finish()]);
        assert_eq!(randomness(&columns, 0..2).unwrap(), [65_702_096_778_263_713], "instances of other versions must agree");
    }
}
