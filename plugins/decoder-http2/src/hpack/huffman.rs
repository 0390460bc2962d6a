//! The Huffman code of HPACK: RFC 7541, section 5.2 and appendix B.
//!
//! The code is canonical: codes rise with their length, and within a length with the symbol. The lengths alone therefore define the code,
//! and the compiler computes the tables below from them. Symbols of up to eight bits, of which header text is made, take one lookup; the
//! others are found by their length.

/// Length in bits of the code of each byte, and of EOS, which does not occur in a text.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28,
    28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7,
    7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23,
    24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21,
    22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27,
    27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
    25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
/// Length of the longest code, in bits.
pub(crate) const LONGEST: usize = 30;
/// Number of bits of the first lookup.
const LOOK: u32 = 8;

/// By the next eight bits: the symbol and the length of its code; length 0 if the code is longer.
static SHORT: [(u8, u8); 1 << LOOK] = CODE.short;
/// By length: the index of its first symbol in `SORTED`, its first code, and the number of its symbols.
static LONG: [Length; LONGEST + 1] = CODE.lengths;
/// The symbols in the order of their codes.
static SORTED: [u16; 257] = CODE.sorted;

const CODE: Code = code();

struct Code {
    short: [(u8, u8); 1 << LOOK],
    lengths: [Length; LONGEST + 1],
    sorted: [u16; 257],
}

#[derive(Clone, Copy)]
struct Length {
    begin: u16,
    count: u16,
    first: u32,
}

/// Calls `take` with each byte of a text. Returns false if the text is invalid; then the bytes already passed must be discarded.
#[inline]
pub(crate) fn decode(coded: &[u8], mut take: impl FnMut(u8)) -> bool {
    let mut rest = coded;
    // The next bits, from the highest down; the first `have` of them are from the text.
    let mut bits = 0_u64;
    let mut have = 0_u32;
    loop {
        if have <= 32 {
            if let Some((four, behind)) = rest.split_first_chunk::<4>() {
                bits |= u64::from(u32::from_be_bytes(*four)) << (32 - have);
                have += 32;
                rest = behind;
            } else {
                for &byte in rest {
                    bits |= u64::from(byte) << (56 - have);
                    have += 8;
                }
                rest = &[];
            }
        }
        // Behind the end the bits are ones, so a code that needs them is padding.
        let ahead = if have < 64 { bits | u64::MAX >> have } else { bits };
        let (symbol, length) = match SHORT.get((ahead >> (64 - LOOK)) as usize) {
            Some(&(symbol, length)) if length != 0 => (u16::from(symbol), u32::from(length)),
            _ => match find_long(ahead) {
                Some(found) => found,
                None => return false,
            },
        };
        if length > have {
            return have < 8 && ahead >> (64 - LOOK) == 0xff;
        }
        let Ok(byte) = u8::try_from(symbol) else { return false };
        take(byte);
        bits <<= length;
        have -= length;
    }
}

/// Returns the symbol of a code of more than eight bits, and its length.
#[cold]
fn find_long(ahead: u64) -> Option<(u16, u32)> {
    (LOOK + 1..).zip(LONG.iter().skip(LOOK as usize + 1)).find_map(|(bits, length)| {
        let place =
            ((ahead >> (64 - bits)) as u32).checked_sub(length.first).filter(|&place| place < u32::from(length.count))?;
        Some((*SORTED.get(usize::from(length.begin) + place as usize)?, bits))
    })
}

/// Computes the tables from the lengths.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses a wrong place")]
const fn code() -> Code {
    let nothing = Length { begin: 0, count: 0, first: 0 };
    let mut code = Code { short: [(0, 0); 1 << LOOK], lengths: [nothing; LONGEST + 1], sorted: [0; 257] };
    let mut next = 0_u32;
    let mut place = 0;
    let mut bits = 1;
    while bits <= LONGEST {
        next <<= 1;
        let begin = place;
        let first = next;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                code.sorted[place] = symbol as u16;
                if bits <= LOOK as usize {
                    let spare = LOOK as usize - bits;
                    let mut filled = 0;
                    while filled < 1 << spare {
                        code.short[((next as usize) << spare) + filled] = (symbol as u8, bits as u8);
                        filled += 1;
                    }
                }
                place += 1;
                next += 1;
            }
            symbol += 1;
        }
        code.lengths[bits] = Length { begin: begin as u16, count: (place - begin) as u16, first };
        bits += 1;
    }
    code
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{LENGTHS, LONG, SORTED, decode};

    /// Decodes a text.
    fn text(coded: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        decode(coded, |byte| text.push(byte)).then_some(text)
    }

    /// Encodes a text.
    pub(crate) fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for &byte in text {
            let length = LENGTHS[usize::from(byte)];
            let place = SORTED.iter().position(|&symbol| symbol == u16::from(byte)).unwrap();
            let of_length = &LONG[usize::from(length)];
            let code = of_length.first + (place - usize::from(of_length.begin)) as u32;
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let www = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(text(&www).unwrap(), b"www.example.com");
        let date = [
            0xd0, 0x7a, 0xbe, 0x94, 0x10, 0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b, 0x81, 0x66, 0xe0, 0x82, 0xa6,
            0x2d, 0x1b, 0xff,
        ];
        assert_eq!(text(&date).unwrap(), b"Mon, 21 Oct 2013 20:13:21 GMT");
        assert_eq!(text(&[0x64, 0x02]).unwrap(), b"302");
    }

    #[test]
    fn every_byte_is_read_wherever_it_stands() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(text(&encode(&all)).unwrap(), all);
        for byte in 0..=255 {
            for padded in [vec![byte], vec![b'0', byte], vec![byte, b'a', byte], [b"abcdefg".as_slice(), &[byte]].concat()] {
                assert_eq!(text(&encode(&padded)).unwrap(), padded);
            }
        }
    }

    #[test]
    fn padding_of_a_byte_or_of_zeros_and_the_end_symbol_are_no_text() {
        assert_eq!(text(&[]), Some(Vec::new()));
        assert_eq!(text(&[0x07]), Some(b"0".to_vec()));
        assert_eq!(text(&[0x00]), None, "`0` and three zeros");
        assert_eq!(text(&[0x07, 0xff]), None, "eight ones too many");
        assert_eq!(text(&[0xff, 0xff, 0xff, 0xff]), None, "EOS");
    }
}
