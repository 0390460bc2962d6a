//! Packets on the wire: three bytes of length, a number, a body; and the few bodies that are parsed.

use plugin_sdk::conversation::is_trace_parent;

/// A packet, as far as it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// 0 in the first packet of a command; each following packet, of either end, has the next number.
    pub number: u8,
    /// The captured bytes of the body.
    pub body: &'a [u8],
    /// Length of the whole packet, with its header.
    pub length: usize,
}

/// The first packet of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting<'a> {
    /// `8.0.36`, `5.5.5-10.11.6-MariaDB`
    pub version: &'a [u8],
    /// Capabilities that it offers.
    pub capabilities: u32,
    /// Number of its default collation.
    pub collation: u8,
}

/// The client's response to the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// Capabilities of both ends.
    pub capabilities: u32,
    /// Number of the collation that defines the client's character set.
    pub collation: u8,
    /// The database of the session; empty for none.
    pub database: &'a [u8],
}

/// Length of a header.
pub const HEADER: usize = 4;
/// Length of a body that continues in the next packet.
pub const FULL: usize = 0xff_ffff;

/// Capability: the client begins TLS behind this packet.
pub const SSL: u32 = 1 << 11;
/// Capability: the bytes behind the login are compressed, with zlib or with zstd.
pub const COMPRESSED: u32 = 1 << 5 | 1 << 26;
/// Capability: the client expects MySQL; a client that knows that the server is MariaDB omits it.
pub const CLIENT_MYSQL: u32 = 1;
const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const SECURE_CONNECTION: u32 = 1 << 15;
const LENENC_AUTH: u32 = 1 << 21;
/// Capability: queries may have attributes, and give their number.
pub const QUERY_ATTRIBUTES: u32 = 1 << 27;
/// Maximum number of attributes of a query that are read.
const MAX_ATTRIBUTES: usize = 32;

/// Status: another result follows.
pub const MORE_RESULTS: u16 = 1 << 3;
/// Status: rows wait for `COM_STMT_FETCH`.
pub const CURSOR_EXISTS: u16 = 1 << 6;
/// Status: a backslash is an ordinary character.
pub const NO_BACKSLASH_ESCAPES: u16 = 1 << 9;

/// Parses the packet at the start of these bytes; None if more bytes are needed.
#[inline]
#[must_use]
pub fn parse_packet(bytes: &[u8]) -> Option<Packet<'_>> {
    let (&[a, b, c, number], rest) = bytes.split_first_chunk::<HEADER>()?;
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    Some(Packet { number, body: rest.get(..length).unwrap_or(rest), length: length + HEADER })
}

/// Parses a greeting.
#[must_use]
pub fn parse_greeting(body: &[u8]) -> Option<Greeting<'_>> {
    let (version, rest) = split_text(body.strip_prefix(&[10])?)?;
    // Behind the version: thread (4), nonce (8), 0; then capabilities, character set, status, capabilities.
    let [_, _, _, _, _, _, _, _, _, _, _, _, 0, low @ ..] = rest else { return None };
    let [a, b, collation, _, _, c, d, ..] = low else { return None };
    let is_version = version.first().is_some_and(u8::is_ascii_digit) && version.iter().all(u8::is_ascii_graphic);
    let capabilities = u32::from_le_bytes([*a, *b, *c, *d]);
    is_version.then_some(Greeting { version, capabilities, collation: *collation })
}

/// Parses a login, as far as it was captured.
#[must_use]
pub fn parse_login(body: &[u8]) -> Option<Login<'_>> {
    let (capabilities, rest) = body.split_first_chunk::<4>()?;
    let capabilities = u32::from_le_bytes(*capabilities);
    // Longest packet (4), collation (1), 23 bytes, most of them 0.
    let (&[_, _, _, _, collation], filler) = rest.split_first_chunk::<5>()?;
    let is_filler = filler.get(..19)?.iter().all(|byte| *byte == 0);
    let rest = filler.get(23..).filter(|_| is_filler && capabilities & PROTOCOL_41 != 0)?;
    Some(Login { capabilities, collation, database: parse_login_database(rest, capabilities).unwrap_or_default() })
}

fn parse_login_database(rest: &[u8], capabilities: u32) -> Option<&[u8]> {
    let (_, rest) = split_text(rest).filter(|_| capabilities & CONNECT_WITH_DB != 0)?;
    let rest = if capabilities & (LENENC_AUTH | SECURE_CONNECTION) != 0 {
        let (length, rest) = parse_number(rest)?;
        rest.get(usize::try_from(length).ok()?..)?
    } else {
        split_text(rest)?.1
    };
    Some(split_text(rest)?.0)
}

/// Returns the database that `COM_CHANGE_USER` requests, and the number of the collation, if that was captured.
#[must_use]
pub fn parse_changed_user(body: &[u8]) -> Option<(&[u8], Option<u8>)> {
    let (_, rest) = split_text(body)?;
    let (&length, rest) = rest.split_first()?;
    let (database, rest) = split_text(rest.get(usize::from(length)..)?)?;
    Some((database, rest.first().copied()))
}

/// Whether the character set of this collation has characters that end in an ASCII byte: Big5, Shift-JIS, GBK and GB 18030.
#[must_use]
pub const fn is_wide(collation: u8) -> bool {
    matches!(collation, 1 | 13 | 28 | 84 | 87 | 88 | 95 | 96 | 248..=250)
}

/// Returns the text of a query, and the `traceparent` among its attributes; None if there are attributes that cannot be parsed.
/// `has_attributes` is whether both ends agreed on attributes, None if that was not seen.
#[must_use]
pub fn parse_query(body: &[u8], has_attributes: Option<bool>) -> Option<(&[u8], Option<&str>)> {
    // A text has no such second byte.
    let has_attributes = has_attributes.unwrap_or(matches!(body, [0, ..] | [_, 1, ..]));
    if !has_attributes {
        return Some((body, None));
    }
    let (count, rest) = parse_number(body)?;
    let (1, rest) = parse_number(rest)? else { return None };
    let count = usize::try_from(count).ok().filter(|count| *count <= MAX_ATTRIBUTES)?;
    if count == 0 {
        return Some((rest, None));
    }
    let (absent, rest) = rest.split_at_checked(count.div_ceil(8))?;
    let mut rest = rest.strip_prefix(&[1])?;
    let mut attributes = [(0, &b""[..]); MAX_ATTRIBUTES];
    let attributes = attributes.get_mut(..count)?;
    for attribute in attributes.iter_mut() {
        let (&[kind, _], behind) = rest.split_first_chunk::<2>()?;
        let (name, behind) = split_counted(behind)?;
        (*attribute, rest) = ((kind, name), behind);
    }
    let mut parent = None;
    for (index, (kind, name)) in attributes.iter().enumerate() {
        if absent.get(index / 8)? >> (index % 8) & 1 == 1 {
            continue;
        }
        let fixed = |length| rest.split_at_checked(length);
        let (value, behind) = match kind {
            0x06 => (&b""[..], rest),
            0x01 => fixed(1)?,
            0x02 | 0x0d => fixed(2)?,
            0x03 | 0x04 | 0x09 => fixed(4)?,
            0x05 | 0x08 => fixed(8)?,
            0x07 | 0x0a..=0x0c => fixed(1 + usize::from(*rest.first()?))?,
            _ => split_counted(rest)?,
        };
        if *name == b"traceparent" {
            parent = Some(value).filter(|value| is_trace_parent(value));
        }
        rest = behind;
    }
    Some((rest, parent.and_then(|parent| std::str::from_utf8(parent).ok())))
}

/// Splits off bytes that are preceded by their length.
fn split_counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = parse_number(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// Splits the text at its final NUL, which is required, from the rest.
#[must_use]
pub fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// Splits off a number of one to nine bytes.
#[must_use]
pub fn parse_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let width = match first {
        0..=0xfa => return Some((u64::from(first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let digits = rest.get(..width)?;
    Some((digits.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)), rest.get(width..)?))
}

/// Returns the status in a packet that ends a result or stands for one: `OK`, or the older `EOF` of five bytes.
#[must_use]
pub fn parse_status(body: &[u8]) -> Option<u16> {
    if let &[0xfe, _, _, low, high] = body {
        return Some(u16::from_le_bytes([low, high]));
    }
    let (_, rest) = parse_number(body.get(1..)?)?;
    let (_, rest) = parse_number(rest)?;
    rest.first_chunk().map(|status| u16::from_le_bytes(*status))
}

/// Returns the number in an error, the only part that leaves the decoder: the rest may quote values. `ffff` is a progress report of
/// MariaDB.
#[must_use]
pub fn parse_error(body: &[u8]) -> Option<u16> {
    match body {
        [0xff, low, high, ..] => Some(u16::from_le_bytes([*low, *high])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Greeting, Packet, parse_changed_user, parse_error, parse_greeting, parse_login, parse_number, parse_packet,
        parse_status,
    };

    const HELLO: &[u8] = b"\x0a5.5.5-10.11.6-MariaDB\0\x07\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15";

    #[test]
    fn a_packet_is_framed_by_its_length() {
        assert_eq!(parse_packet(b"\x02\0\0\x01abc"), Some(Packet { number: 1, body: b"ab", length: 6 }));
        assert_eq!(parse_packet(b"\xff\xff\xff\x01abc"), Some(Packet { number: 1, body: b"abc", length: 0x0100_0003 }));
        assert_eq!(parse_packet(b"\x02\0\0"), None);
    }

    #[test]
    fn greeting_and_login_are_read_as_far_as_they_go() {
        assert_eq!(
            parse_greeting(HELLO),
            Some(Greeting { version: b"5.5.5-10.11.6-MariaDB", capabilities: 0x81ff_f7fe, collation: 0x2d })
        );
        (0..HELLO.len() - 2).for_each(|length| assert!(parse_greeting(&HELLO[..length]).is_none_or(|_| length > 40)));
        let mut answer = (1_u32 << 9 | 1 << 3 | 1 << 15).to_le_bytes().to_vec();
        answer.extend([0; 28]);
        answer.extend_from_slice(b"app\0\x03abcshop\0mysql_native_password\0");
        assert_eq!(parse_login(&answer).unwrap().database, b"shop");
        (0..answer.len())
            .for_each(|length| assert!(parse_login(&answer[..length]).is_none_or(|login| login.database.len() <= 4)));
        assert_eq!(parse_changed_user(b"app\0\x02xyshop\0\x1c\0"), Some((&b"shop"[..], Some(28))));
        assert_eq!(parse_changed_user(b"app\0\xffxyshop\0"), None);
    }

    #[test]
    fn numbers_have_one_to_nine_bytes() {
        assert_eq!(parse_number(b"\xfaR"), Some((250, &b"R"[..])));
        assert_eq!(parse_number(b"\xfc\x01\x02R"), Some((513, &b"R"[..])));
        assert_eq!(parse_number(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"), Some((u64::MAX, &b""[..])));
        for short in [&b""[..], b"\xfb", b"\xff", b"\xfc\x01", b"\xfe\x01"] {
            assert_eq!(parse_number(short), None);
        }
    }

    #[test]
    fn ends_of_results_and_errors_are_told_by_their_first_bytes() {
        assert_eq!(parse_status(b"\xfe\0\0\x0a\0"), Some(10));
        assert_eq!(parse_status(b"\0\x01\xfc\0\x01\x02\x40\0\0"), Some(0x4002));
        assert_eq!(parse_status(b"\xfe\0\0\x22\0\0\0"), Some(0x22));
        assert_eq!(parse_status(b"\0\x01"), None);
        assert_eq!(parse_error(b"\xff\x7a\x04#42S02Table 'secret'"), Some(1146));
        assert_eq!((parse_error(b"\xff\x7a"), parse_error(b"\0\0\0")), (None, None));
    }
}
