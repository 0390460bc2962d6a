//! Messages on the wire: a type, a length, a body. And the first packet of a client, which has no type.

use plugin_sdk::conversation::Sender;
use plugin_sdk::scan::find;
use sql::Operation;

/// The result of parsing the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framed<'a> {
    /// Too few bytes to decide.
    Short,
    /// Not the start of a message.
    Broken,
    /// A message.
    Message(Message<'a>),
}

/// A message, as far as it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The type, its first byte: `Q` for a query.
    pub tag: u8,
    /// The captured bytes of the body.
    pub body: &'a [u8],
    /// Length of the whole message, with its header.
    pub length: usize,
}

/// The first packet of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening<'a> {
    /// Too few bytes to decide.
    Short,
    /// Begins a session: its parameters, as far as they were captured, and the length of the whole packet.
    Startup {
        /// Names and values, each ended by NUL.
        parameters: &'a [u8],
        /// Length with the header.
        length: usize,
    },
    /// The client asks whether it may encrypt; the server answers with one byte.
    Encryption,
    /// Cancels another connection's query.
    Cancel,
    /// None of these.
    Other,
}

/// Length of the header: type and length.
const HEADER: usize = 5;
/// Maximum length of a message of PostgreSQL: a gigabyte and its frame.
const LONGEST: usize = (1 << 30) + (1 << 16);
/// Maximum length of messages with a name and little more.
const LONGEST_SMALL: usize = 1 << 14;
/// `MAX_STARTUP_PACKET_LENGTH` of the server.
const LONGEST_STARTUP: usize = 10_000;

/// Parses the start of the bytes that this end sends.
#[inline]
pub fn parse_message(sender: Sender, bytes: &[u8]) -> Framed<'_> {
    let Some((&[tag, a, b, c, d], rest)) = bytes.split_first_chunk::<HEADER>() else {
        let fits = bytes.first().is_none_or(|tag| lengths(sender, *tag).is_some());
        return if fits { Framed::Short } else { Framed::Broken };
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    match lengths(sender, tag) {
        Some((least, most)) if (least..=most).contains(&length) => {
            let body = length - 4;
            Framed::Message(Message { tag, body: rest.get(..body).unwrap_or(rest), length: length + 1 })
        }
        _ => Framed::Broken,
    }
}

/// Returns the minimum and maximum length of a message of this type; None for types that this end does not send.
#[inline]
const fn lengths(sender: Sender, tag: u8) -> Option<(usize, usize)> {
    match sender {
        Sender::Client => match tag {
            b'S' | b'H' | b'X' | b'c' => Some((4, 4)),
            b'C' | b'D' => Some((6, LONGEST_SMALL)),
            b'E' => Some((9, LONGEST_SMALL)),
            b'B' => Some((12, LONGEST)),
            b'P' => Some((8, LONGEST)),
            b'Q' | b'p' | b'f' => Some((5, LONGEST)),
            b'F' => Some((14, LONGEST)),
            b'd' => Some((4, LONGEST)),
            _ => None,
        },
        Sender::Server => match tag {
            b'1' | b'2' | b'3' | b'c' | b'n' | b's' | b'I' => Some((4, 4)),
            b'Z' => Some((5, 5)),
            b'K' => Some((12, 264)),
            b'C' => Some((5, 128)),
            b'R' | b'S' | b'A' | b'v' => Some((6, 1 << 16)),
            b'E' | b'N' => Some((5, 1 << 24)),
            b'T' | b't' => Some((6, 1 << 24)),
            b'G' | b'H' | b'W' => Some((7, 1 << 16)),
            b'D' => Some((6, LONGEST)),
            b'd' => Some((4, LONGEST)),
            b'V' => Some((8, LONGEST)),
            _ => None,
        },
    }
}

/// Parses the first bytes of a client.
pub fn parse_opening(bytes: &[u8]) -> Opening<'_> {
    let Some((&[a, b, c, d, e, f, g, h], rest)) = bytes.split_first_chunk::<8>() else {
        return if bytes.first() == Some(&0) { Opening::Short } else { Opening::Other };
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    match (u32::from_be_bytes([e, f, g, h]), length) {
        (0x04d2_162e, 16..=264) => Opening::Cancel,
        (0x04d2_162f | 0x04d2_1630, 8) => Opening::Encryption,
        (version, 9..=LONGEST_STARTUP) if version >> 16 == 3 => {
            Opening::Startup { parameters: rest.get(..length - 8).unwrap_or(rest), length }
        }
        _ => Opening::Other,
    }
}

/// Splits the text at its final NUL from the rest; returns all bytes as text if there is no NUL, which only a cut message may lack.
#[must_use]
pub fn split_text(bytes: &[u8]) -> (&[u8], &[u8]) {
    match find(bytes, 0) {
        Some(end) => (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default()),
        None => (bytes, &[]),
    }
}

/// Returns the database that the parameters of a session name, else the user, whose name is then that of the database.
#[must_use]
pub fn parse_database(mut parameters: &[u8]) -> &[u8] {
    let mut user: &[u8] = b"";
    loop {
        let (name, rest) = split_text(parameters);
        let (value, rest) = split_text(rest);
        match name {
            b"" => return user,
            b"database" => return value,
            b"user" => user = value,
            _ => {}
        }
        parameters = rest;
    }
}

/// Returns the SQLSTATE of an `ErrorResponse`, the only part that leaves the decoder: the rest may quote values.
#[must_use]
pub fn parse_sqlstate(mut fields: &[u8]) -> Option<&str> {
    while let Some((&code, rest)) = fields.split_first() {
        let (value, rest) = split_text(rest);
        if code == b'C' {
            let is_code = value.len() == 5 && value.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            return std::str::from_utf8(value).ok().filter(|_| is_code);
        }
        fields = rest;
    }
    None
}

/// Returns the number of rows in a `CommandComplete`: `SELECT 5`.
#[must_use]
pub fn parse_returned_rows(tag: &[u8]) -> u32 {
    let count = tag.strip_prefix(b"SELECT ").or_else(|| tag.strip_prefix(b"FETCH ")).unwrap_or_default();
    let digits = count.strip_suffix(b"\0").unwrap_or(count);
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse::<u64>().ok())
        .map_or(0, |rows| rows.min(u64::from(u32::MAX)) as u32)
}

/// Returns the operation in a `CommandComplete`: `SELECT 5`.
#[must_use]
pub fn parse_operation(tag: &[u8]) -> Operation {
    Operation::named(tag.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conversation::Sender;

    use super::{Framed, Message, Opening, parse_database, parse_message, parse_opening, parse_returned_rows, parse_sqlstate};

    #[test]
    fn a_message_is_framed_by_its_length_and_what_cannot_be_one_is_told() {
        let query = b"Q\0\0\0\x0dSELECT 1\0Q";
        let message = Message { tag: b'Q', body: b"SELECT 1\0", length: 14 };
        assert_eq!(parse_message(Sender::Client, query), Framed::Message(message));
        assert_eq!(parse_message(Sender::Client, &query[..4]), Framed::Short);
        let cut = Message { body: b"SEL", ..message };
        assert_eq!(parse_message(Sender::Client, &query[..8]), Framed::Message(cut));
        for broken in [&b"x"[..], b"Q\0\0\0\x03", b"Q\xff\xff\xff\xff", b"S\0\0\0\x05", b"Z\0\0\0\x05I"] {
            assert_eq!(parse_message(Sender::Client, broken), Framed::Broken, "{broken:?}");
        }
    }

    #[test]
    fn a_client_opens_in_one_of_four_ways() {
        let startup = b"\0\0\0\x24\0\x03\0\0user\0bench\0database\0shop\0\0";
        let Opening::Startup { parameters, length: 36 } = parse_opening(startup) else {
            panic!("{:?}", parse_opening(startup))
        };
        assert_eq!(parse_database(parameters), b"shop");
        assert_eq!(parse_database(b"user\0bench\0\0"), b"bench");
        assert_eq!(parse_database(b"user"), b"");
        assert_eq!(parse_opening(b"\0\0\0\x08\x04\xd2\x16\x2f"), Opening::Encryption);
        assert_eq!(parse_opening(b"\0\0\0\x10\x04\xd2\x16\x2e12345678"), Opening::Cancel);
        assert_eq!(parse_opening(b"\0\0"), Opening::Short);
        assert_eq!(parse_opening(b"\0\0\0\x08\0\x03\0\0"), Opening::Other);
        assert_eq!(parse_opening(b"\x16\x03\x01\x02\0\x01\0\x01"), Opening::Other);
    }

    #[test]
    fn of_an_error_only_a_code_is_read() {
        assert_eq!(parse_sqlstate(b"SERROR\0VERROR\0C42P01\0Mrelation \"secret\"\0\0"), Some("42P01"));
        for wrong in [&b""[..], b"C", b"C42", b"C42p01\0", b"Mx\0C\0", b"SERROR\0C4"] {
            assert_eq!(parse_sqlstate(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_rows_that_were_returned_are_counted() {
        assert_eq!(parse_returned_rows(b"SELECT 5\0"), 5);
        assert_eq!(parse_returned_rows(b"SELECT 99999999999\0"), u32::MAX);
        assert_eq!(parse_returned_rows(b"INSERT 0 5\0"), 0);
        assert_eq!(parse_returned_rows(b"SELECT x\0"), 0);
    }
}
