//! Writes protobuf into a slice. The position of the next byte is passed from call to call in a register: a vector would read its length
//! from memory, and write it back, for every member of every row.
//!
//! The caller that starts a row makes room for its maximum length. A value without room is left out; it never reaches another row.

use super::wire::varint_len;

/// Writes the first `length` of N bytes. All N are copied, which is faster than a copy whose length is known only at run time.
#[inline(always)]
pub(crate) fn prefix<const N: usize>(room: &mut [u8], at: usize, bytes: &[u8; N], length: usize) -> usize {
    match room.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        Some(place) => {
            *place = *bytes;
            at + length
        }
        None => at,
    }
}

/// Writes all of N bytes.
#[inline(always)]
pub(crate) fn put<const N: usize>(room: &mut [u8], at: usize, bytes: [u8; N]) -> usize {
    prefix(room, at, &bytes, N)
}

/// Writes a slice of bytes.
#[inline(always)]
pub(crate) fn slice(room: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    match room.get_mut(at..at + bytes.len()) {
        Some(place) => {
            place.copy_from_slice(bytes);
            at + bytes.len()
        }
        None => at,
    }
}

/// Writes a varint. The groups of seven bits are spread all at once: three steps, no loop.
#[inline(always)]
pub(crate) fn varint(room: &mut [u8], at: usize, value: u64) -> usize {
    if value < 0x80 {
        return put(room, at, [value as u8]);
    }
    if value >= 1 << 56 {
        return exact_varint(room, at, value);
    }
    let halves = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    let groups = quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1;
    let length = varint_len(value);
    let continues = 0x8080_8080_8080_8080 & ((1 << (8 * (length - 1))) - 1);
    prefix(room, at, &(groups | continues).to_le_bytes(), length)
}

/// Like `varint`, but touches no byte behind it.
#[cold]
fn exact_varint(room: &mut [u8], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        at = put(room, at, [value as u8 | 0x80]);
        value >>= 7;
    }
    put(room, at, [value as u8])
}

/// Writes tag, length and bytes.
#[inline(always)]
pub(crate) fn bytes(room: &mut [u8], at: usize, tag: u8, bytes: &[u8]) -> usize {
    let at = put(room, at, [tag]);
    let at = varint(room, at, bytes.len() as u64);
    slice(room, at, bytes)
}

/// Bytes reserved for the length of a message. Spans and most logs have 128 to 16383 bytes, so that nothing has to be moved.
const GUESS: usize = 2;

/// Starts a message; returns the start of its body.
#[inline(always)]
pub(crate) fn open(room: &mut [u8], at: usize, tag: u8) -> usize {
    put(room, at, [tag, 0, 0])
}

/// Ends the message whose body starts at `start`: writes its length in the fewest bytes, and moves the body if the guess was wrong.
#[inline(always)]
pub(crate) fn close(room: &mut [u8], start: usize, at: usize) -> usize {
    let body = at - start;
    if (0x80..0x4000).contains(&body) {
        put(room, start - GUESS, [body as u8 | 0x80, (body >> 7) as u8]);
        return at;
    }
    close_elsewhere(room, start, at)
}

#[cold]
fn close_elsewhere(room: &mut [u8], start: usize, at: usize) -> usize {
    let body = at - start;
    let moved = start - GUESS + varint_len(body as u64);
    if moved + body > room.len() {
        return start - GUESS - 1;
    }
    room.copy_within(start..at, moved);
    exact_varint(room, start - GUESS, body as u64);
    moved + body
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A varint, encoded as in the specification.
    fn by_the_book(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    #[test]
    fn a_varint_is_the_one_that_a_loop_writes_and_as_long_as_its_length_says() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 0x55]);
        for value in edges.chain([u64::MAX, 0x1234_5678_9abc_def0]) {
            let mut room = [0; 16];
            let end = varint(&mut room, 0, value);
            assert_eq!(room[..end], by_the_book(value), "{value:x}");
            assert_eq!(end, varint_len(value), "{value:x}");
        }
    }

    #[test]
    fn a_length_is_as_short_as_it_can_be_whatever_was_guessed() {
        for body in [0usize, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut room = vec![7; 5 + body + 10];
            let start = open(&mut room, 5, 0x12);
            room[start..start + body].fill(9);
            let end = close(&mut room, start, start + body);
            let expected = [vec![7; 5], vec![0x12], by_the_book(body as u64), vec![9; body]].concat();
            assert!(room[..end] == expected, "body of {body}");
        }
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        let mut room = [1; 4];
        assert_eq!(put(&mut room, 2, [9; 8]), 2);
        assert_eq!(slice(&mut room, 4, b"more"), 4);
        assert_eq!(room, [1; 4]);
    }
}
