//! Header blocks: HPACK, RFC 7541. Only the fields that rows use are read; the others are skipped.

pub(crate) mod fields;
pub(crate) mod huffman;
pub(crate) mod table;

use fields::{FIXED_ENTRIES, Name, fixed_at};
use table::Table;

/// Buffer for values in the Huffman code, shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// How a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    Whole,
    /// In the middle of a field: the block was cut, or this is not a header block.
    Broken,
}

/// Maximum total size of the fields of a block; the rest is skipped. A byte of a block can stand for a field of 64 KiB.
const LIST_BYTES: u32 = 16 * 1024;
/// Maximum number of bytes of a value that are decoded.
const VALUE_BYTES: usize = 4096;

/// Reads a block: `take` gets the fields whose names matter with their values; names that do not matter, or are not known, come without.
///
/// A broken block leaves an unknown number of entries unread, so the positions of the table are lost.
pub(crate) fn read(block: &[u8], table: &mut Table, scratch: &mut Scratch, mut take: impl FnMut(Name, &[u8])) -> Block {
    let mut reader = Reader { rest: block };
    let mut list = 0_u32;
    while let Some(&first) = reader.rest.first() {
        let mut give = |name: Name, value: &[u8]| {
            list = list.saturating_add(32 + value.len() as u32);
            if list <= LIST_BYTES {
                take(name, value);
            }
        };
        let done = match first {
            0x80.. => reader.read_indexed(table, &mut give),
            0x40.. => reader.read_literal(6, true, table, scratch, &mut give),
            0x20.. => reader.read_number(5).map(|size| table.resize(size)),
            _ => reader.read_literal(4, false, table, scratch, &mut give),
        };
        if done.is_none() {
            table.lose_position();
            return Block::Broken;
        }
    }
    Block::Whole
}

/// The rest of a block. Its methods return None if the block is broken.
struct Reader<'a> {
    rest: &'a [u8],
}

/// A text as encoded in a block.
#[derive(Clone, Copy)]
struct Coded<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Reads a field that is in a table.
    #[inline]
    fn read_indexed(&mut self, table: &Table, give: &mut impl FnMut(Name, &[u8])) -> Option<()> {
        let index = self.read_number(7)? as usize;
        if let Some(fixed) = fixed_at(index) {
            give(fixed.name, fixed.value.as_bytes());
        } else if index == 0 {
            return None;
        } else if let Some(entry) = table.get(index - FIXED_ENTRIES - 1) {
            give(entry.name, entry.value());
        } else {
            give(Name::Unknown, &[]);
        }
        Some(())
    }

    /// Reads a literal field; at least its value is written out.
    fn read_literal(
        &mut self,
        bits: u32,
        added: bool,
        table: &mut Table,
        scratch: &mut Scratch,
        give: &mut impl FnMut(Name, &[u8]),
    ) -> Option<()> {
        let index = self.read_number(bits)? as usize;
        let (name, name_length) = if index == 0 {
            let coded = self.read_text()?;
            let (text, length) = coded.decode(&mut scratch.name);
            (Name::of(text), length)
        } else if let Some(fixed) = fixed_at(index) {
            (fixed.name, fixed.length)
        } else {
            table.get(index - FIXED_ENTRIES - 1).map_or((Name::Unknown, 0), |entry| (entry.name, entry.name_length))
        };
        let coded = self.read_text()?;
        let name = if name == Name::Unknown && coded.is_digits(&mut scratch.value) { Name::Digits } else { name };
        if name.matters() {
            let (value, length) = coded.decode(&mut scratch.value);
            give(name, value);
            if added {
                table.add(name, name_length, value, length);
            }
        } else {
            give(name, &[]);
            if added {
                table.add(name, name_length, &[], coded.least());
            }
        }
        Some(())
    }

    /// Reads a number with a prefix of `bits` bits: RFC 7541, section 5.1.
    #[inline]
    fn read_number(&mut self, bits: u32) -> Option<u32> {
        let most = (1_u32 << bits) - 1;
        let (&first, mut rest) = self.rest.split_first()?;
        let mut number = u32::from(first) & most;
        if number == most {
            let mut shift = 0;
            loop {
                let (&byte, behind) = rest.split_first()?;
                rest = behind;
                // Four bytes more make 28 bits: more than any number that has a use here.
                if shift > 21 {
                    return None;
                }
                number += u32::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        self.rest = rest;
        Some(number)
    }

    /// Reads a text: RFC 7541, section 5.2.
    #[inline]
    fn read_text(&mut self) -> Option<Coded<'a>> {
        let is_huffman = self.rest.first()? & 0x80 != 0;
        let length = self.read_number(7)? as usize;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Coded { bytes, is_huffman })
    }
}

// === impl Coded ===

impl<'a> Coded<'a> {
    /// Returns the text, and its length, which may exceed the decoded part. Empty if it is invalid.
    #[inline]
    fn decode<'s>(self, scratch: &'s mut Vec<u8>) -> (&'s [u8], u32)
    where
        'a: 's,
    {
        if !self.is_huffman {
            return (self.bytes, self.bytes.len() as u32);
        }
        scratch.clear();
        let mut length = 0_u32;
        let valid = huffman::decode(self.bytes, |byte| {
            if scratch.len() < VALUE_BYTES {
                scratch.push(byte);
            }
            length += 1;
        });
        if !valid {
            scratch.clear();
        }
        (scratch, length)
    }

    /// Whether the text is one or two digits.
    #[cold]
    fn is_digits(self, scratch: &mut Vec<u8>) -> bool {
        let (text, length) = if self.bytes.len() <= 2 { self.decode(scratch) } else { (self.bytes, 3) };
        (1..=2).contains(&length) && text.iter().all(u8::is_ascii_digit)
    }

    /// Returns the minimum length of the text. For an entry whose value is not read this is enough: see [`Table`].
    const fn least(self) -> u32 {
        let bytes = self.bytes.len() as u32;
        if self.is_huffman { bytes * 8 / huffman::LONGEST as u32 } else { bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::fields::Name;
    use super::huffman::tests::encode;
    use super::table::{LARGEST, Table};
    use super::{Block, Scratch, read};

    /// Decodes hexadecimal digits.
    fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// Describes the result of reading a block: values of fields that matter, and how the block ended.
    fn words(block: &[u8], table: &mut Table) -> String {
        let mut words = Vec::new();
        let end = read(block, table, &mut Scratch::default(), |name, value| {
            let value = String::from_utf8_lossy(value);
            words.push(if value.is_empty() { format!("{name:?}") } else { format!("{name:?}={value}") });
        });
        if end == Block::Broken {
            words.push("!".into());
        }
        words.join(" ")
    }

    #[test]
    fn requests_of_appendix_c_are_read_and_the_table_is_as_large_as_it_says() {
        // C.3 without, C.4 with the Huffman code.
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let coded = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for (blocks, is_coded) in [(plain, false), (coded, true)] {
            let mut table = Table::initial();
            let expected = [
                ("Method=GET Scheme=http Path=/ Pseudo", 57),
                ("Method=GET Scheme=http Path=/ Pseudo Other", 110),
                ("Method=GET Scheme=https Path=/index.html Pseudo Other", 164),
            ];
            for (entries, (block, (says, size))) in (1..).zip(blocks.into_iter().zip(expected)) {
                assert_eq!((&*words(&hex(block), &mut table), table.entries()), (says, entries));
                // For coded values that do not matter, only the minimum size is known.
                assert!(if is_coded { table.size() < size } else { table.size() == size }, "{}", table.size());
            }
        }
    }

    #[test]
    fn responses_of_appendix_c_push_each_other_out_of_a_small_table() {
        let plain = [
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e \
             1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d \
             4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 \
             7369 6f6e 3d31",
        ];
        let coded = [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b \
             97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf \
             cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ];
        let expected = [
            ("Status=302 Other Other Other", 222, 4),
            ("Status=307 Other Other Other", 222, 4),
            ("Status=200 Other Other Other Other Other", 215, 3),
        ];
        for (blocks, is_coded) in [(plain, false), (coded, true)] {
            let mut table = Table::initial();
            table.resize(256);
            for (block, (says, size, entries)) in blocks.into_iter().zip(expected) {
                assert_eq!(words(&hex(block), &mut table), says);
                assert!(table.size() <= 256);
                if !is_coded {
                    assert_eq!((table.size(), table.entries()), (size, entries));
                }
            }
        }
    }

    #[test]
    fn single_fields_of_appendix_c_are_read() {
        let mut table = Table::initial();
        // C.2.1 to C.2.4: added, not added, never added, by index.
        assert_eq!(words(&hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"), &mut table), "Other");
        assert_eq!(table.size(), 55);
        assert_eq!(words(&hex("040c 2f73 616d 706c 652f 7061 7468"), &mut table), "Path=/sample/path");
        assert_eq!(words(&hex("1008 7061 7373 776f 7264 0673 6563 7265 74"), &mut table), "Other");
        assert_eq!(words(&hex("82"), &mut table), "Method=GET");
        assert_eq!(table.size(), 55);
    }

    #[test]
    fn after_a_gap_what_was_added_since_is_known_and_what_stood_before_is_not() {
        let mut table = Table::initial();
        // `:path: /old`, then a gap with an unknown number of additions, then `:path: /new`.
        words(b"\x44\x04/old", &mut table);
        assert_eq!(words(b"\xbe", &mut table), "Path=/old");
        table.lose_position();
        assert_eq!(words(b"\xbe", &mut table), "Unknown", "it may be 70 by now");
        assert_eq!(words(b"\x44\x04/new\xbe\xbf", &mut table), "Path=/new Path=/new Unknown");
        // An unknown name with a known value takes a place in the table, so that the others are found.
        assert_eq!(words(b"\x7f\x05\x03abc\xbe\xbf", &mut table), "Unknown Unknown Path=/new");
    }

    #[test]
    fn a_size_that_was_not_seen_is_taken_for_the_largest() {
        let mut table = Table::default();
        for entry in 0..200 {
            words(format!("\x44\x04/{entry:03}").as_bytes(), &mut table);
        }
        // 200 entries of 41 bytes; a table of the initial size holds 99 of them.
        let mut index = vec![0xff];
        index.extend([(62 + 199 - 127) as u8 | 0x80, 0]);
        index[1] = ((62 + 199 - 127) & 0x7f) as u8 | 0x80;
        index[2] = ((62 + 199 - 127) >> 7) as u8;
        assert_eq!(words(&index, &mut table), "Path=/000");
    }

    #[test]
    fn a_table_is_no_larger_than_64_kib_whatever_a_peer_claims() {
        let mut table = Table::initial();
        // 2^28 - 1, and then as many of its bytes as fit into a block.
        words(&[0x3f, 0xe0, 0xff, 0xff, 0x7f], &mut table);
        for _ in 0..10_000 {
            words(b"\x44\x28/0123456789012345678901234567890123456789", &mut table);
        }
        assert!(table.size() <= LARGEST);
        assert!(table.weight() < 3 * LARGEST as usize, "{}", table.weight());
        table.resize(0);
        assert_eq!((table.size(), table.entries()), (0, 0));
    }

    #[test]
    fn a_block_of_references_to_a_large_value_stops_being_read() {
        let mut table = Table::initial();
        let mut block = b"\x44\x7f\xd9\x03".to_vec();
        block.extend(std::iter::once(b'/').chain(std::iter::repeat_n(b'x', 599)));
        block.extend([0xbe; 16_000]);
        let (mut fields, mut bytes) = (0, 0);
        let end = read(&block, &mut table, &mut Scratch::default(), |_, value| {
            fields += 1;
            bytes += value.len();
        });
        assert_eq!(end, Block::Whole);
        assert!(fields < 32 && bytes <= 16 * 1024, "{fields} fields of {bytes} bytes");
    }

    #[test]
    fn a_block_that_is_cut_gives_what_is_before_the_cut_and_the_table_has_lost_its_place() {
        let mut whole = b"\x82\x44\x04/old".to_vec();
        whole.push(0x40);
        whole.push(0x80 | 8);
        whole.extend(encode(b"grpc-status"));
        whole.extend(b"\x015");
        let mut table = Table::initial();
        assert_eq!(words(&whole, &mut table), "Method=GET Path=/old GrpcStatus=5");
        for cut in 8..whole.len() {
            let mut table = Table::initial();
            assert_eq!(words(&whole[..cut], &mut table), "Method=GET Path=/old !", "{cut}");
            assert_eq!(words(b"\xbe", &mut table), "Unknown");
        }
    }

    #[test]
    fn what_is_no_block_is_broken_and_no_number_is_too_large() {
        for block in [
            &[0x80][..],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x40, 0x7f, 0xff, 0xff, 0xff, 0x7f],
            &[0x3f, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
            &[0x44],
            &[0x44, 0x05, b'/'],
        ] {
            let mut table = Table::initial();
            assert_eq!(words(block, &mut table), "!", "{block:02x?}");
        }
        assert_eq!(words(&[0xff, 0xff, 0xff, 0x7f], &mut Table::initial()), "Unknown", "an index that nobody has");
    }

    #[test]
    fn a_value_that_is_no_huffman_code_is_empty_and_the_rest_is_read() {
        let mut table = Table::initial();
        assert_eq!(words(&[0x44, 0x81, 0x00, 0x82], &mut table), format!("{:?} Method=GET", Name::Path));
    }
}
