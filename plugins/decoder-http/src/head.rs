//! The head of a message: its first line, and the few fields that are used.

use plugin_sdk::conversation::Target;
use plugin_sdk::scan::{find, line};

use crate::vocabulary::Method;

/// The result of parsing the first bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed<H> {
    /// A complete head, and its length.
    Complete(H, usize),
    /// The first part of a head.
    Partial(H),
    /// Too few bytes to decide.
    TooShort,
    /// Another protocol.
    Other,
}

/// The first line of a request, and its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestHead<'a> {
    pub method: Method,
    pub method_name: &'a [u8],
    /// The target as sent: mostly a path and a query.
    pub target: &'a [u8],
    pub fields: Fields<'a>,
}

/// The first line of a response, and its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseHead<'a> {
    pub status: u16,
    pub fields: Fields<'a>,
}

/// The fields that are used.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    /// The second digit of the version: 0 or 1.
    pub minor: u8,
    pub content_length: Option<u64>,
    pub is_chunked: bool,
    pub is_h2c: bool,
    pub host: &'a [u8],
    pub trace_parent: &'a [u8],
}

/// Maximum number of fields of a head; Apache and nginx allow 100 and fewer. The rest of the head counts as lost.
const MAX_FIELDS: usize = 256;

/// Parses the head of a request.
#[inline(always)]
pub(crate) fn parse_request(bytes: &[u8]) -> Parsed<RequestHead<'_>> {
    let Some(space) = find(bytes.get(..24).unwrap_or(bytes), b' ') else { return without_space(bytes) };
    let (method_name, rest) = bytes.split_at_checked(space).unwrap_or_default();
    let Some(method) = Method::named(method_name) else { return Parsed::Other };
    let Some(behind) = rest.get(1..) else { return Parsed::TooShort };
    let head = |target, fields| RequestHead { method, method_name, target, fields };
    let Some((first, len)) = line(behind) else {
        return match partial_target(method, behind) {
            Some(target) => Parsed::Partial(head(target, Fields { minor: 1, ..Fields::default() })),
            // It may be a target of another form if a version follows it.
            None if method != Method::Other && behind.iter().all(u8::is_ascii_graphic) => Parsed::TooShort,
            None => Parsed::Other,
        };
    };
    // Any bytes between a method and a version are a target: the server answers the request, if only with 400.
    let Some((target, version)) = first.split_last_chunk::<9>() else { return Parsed::Other };
    let minor = match version {
        b" HTTP/1.0" => 0,
        b" HTTP/1.1" => 1,
        _ => return Parsed::Other,
    };
    let mut fields = Fields { minor, ..Fields::default() };
    match fields.read_lines(behind.get(len..).unwrap_or_default()) {
        Some(more) => Parsed::Complete(head(target, fields), space + 1 + len + more),
        None => Parsed::Partial(head(target, fields)),
    }
}

/// Handles bytes that have no space where a method ends.
#[cold]
#[inline(never)]
fn without_space<H>(bytes: &[u8]) -> Parsed<H> {
    if bytes.len() < 24 && bytes.iter().all(u8::is_ascii_uppercase) { Parsed::TooShort } else { Parsed::Other }
}

/// Returns the target of a line that is cut, without a segment that is cut, which might be the beginning of anything. None if it cannot be
/// the beginning of a target.
#[cold]
#[inline(never)]
fn partial_target(method: Method, behind: &[u8]) -> Option<&[u8]> {
    let target = behind.split(|&byte| byte == b' ').next().unwrap_or_default();
    let is_target = match target.first() {
        None | Some(b'/' | b'*' | b'?') => true,
        _ if method == Method::Connect => target.iter().all(u8::is_ascii_graphic),
        _ => is_absolute(target),
    };
    let is_whole = target.len() < behind.len();
    is_target.then_some(if is_whole { target } else { Target::whole_segments(target) })
}

/// Whether an absolute URL can begin with these bytes: with any scheme (RFC 3986, 3.1), or with a part of one that is requested over HTTP.
fn is_absolute(target: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 6] = [b"http:/", b"https:/", b"ftp:/", b"ftps:/", b"ws:/", b"wss:/"];
    /// Maximum length of a scheme: none in use is longer.
    const LONGEST: usize = 16;
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let len = target.iter().position(|byte| !is_of_scheme(byte)).unwrap_or(target.len());
    let is_scheme = target.first().is_some_and(u8::is_ascii_alphabetic) && len <= LONGEST;
    let is_part_of = |scheme: &&[u8]| scheme.get(..target.len()).is_some_and(|part| part.eq_ignore_ascii_case(target));
    is_scheme && target.get(len..).is_some_and(|rest| rest.starts_with(b"://")) || SCHEMES.iter().any(is_part_of)
}

/// Parses the head of a response.
#[inline(always)]
pub(crate) fn parse_response(bytes: &[u8]) -> Parsed<ResponseHead<'_>> {
    const START: &[u8] = b"HTTP/1.";
    let Some(&[.., minor, b' ', a, b, c]) = bytes.first_chunk::<12>() else {
        let is_start = START.starts_with(bytes.get(..START.len()).unwrap_or(bytes));
        return if bytes.len() < 12 && is_start { Parsed::TooShort } else { Parsed::Other };
    };
    let digit = |byte: u8| u16::from(byte.wrapping_sub(b'0'));
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    let is_status = [a, b, c].iter().all(u8::is_ascii_digit) && status >= 100;
    if !bytes.starts_with(START) || !is_status || !matches!(minor, b'0' | b'1') {
        return Parsed::Other;
    }
    let mut fields = Fields { minor: minor - b'0', ..Fields::default() };
    let Some((_, len)) = line(bytes) else { return Parsed::Partial(ResponseHead { status, fields }) };
    match fields.read_lines(bytes.get(len..).unwrap_or_default()) {
        Some(more) => Parsed::Complete(ResponseHead { status, fields }, len + more),
        None => Parsed::Partial(ResponseHead { status, fields }),
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Reads lines up to the empty one; returns their length, None if the empty line is not there.
    #[inline(never)]
    fn read_lines(&mut self, bytes: &'a [u8]) -> Option<usize> {
        let mut at = 0;
        for _ in 0..MAX_FIELDS {
            let rest = bytes.get(at..)?;
            let end = find(rest, b'\n')?;
            at += end + 1;
            let field = rest.get(..end)?;
            if FIRST_LETTERS >> (field.first().unwrap_or(&0) & 0x3f) & 1 == 0 {
                continue;
            }
            let field = field.strip_suffix(b"\r").unwrap_or(field);
            if field.is_empty() {
                return Some(at);
            }
            self.read_field(field);
        }
        None
    }

    #[inline(always)]
    fn read_field(&mut self, field: &'a [u8]) {
        if let Some(value) = value(field, b"content-length") {
            self.content_length = parse_number(value).or(self.content_length);
        } else if let Some(value) = value(field, b"host") {
            self.host = value;
        } else if let Some(value) = value(field, b"traceparent") {
            self.trace_parent = value;
        } else if let Some(value) = value(field, b"transfer-encoding") {
            self.is_chunked |= value.last_chunk::<7>().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        } else if let Some(value) = value(field, b"upgrade") {
            self.is_h2c |= value.eq_ignore_ascii_case(b"h2c");
        }
    }
}

/// The first bytes of the fields that are used and of an empty line, by the lower six bits: NUL for nothing, CR, and letters of both cases.
const FIRST_LETTERS: u64 = {
    let mut bits = 1 | 1 << b'\r';
    let mut letters: &[u8] = b"cChHtTuU";
    while let [letter, rest @ ..] = letters {
        bits |= 1 << (*letter & 0x3f);
        letters = rest;
    }
    bits
};

/// Returns the value of a field if it has this name, which consists of lower-case letters and dashes.
#[inline(always)]
fn value<'a, const N: usize>(field: &'a [u8], name: &[u8; N]) -> Option<&'a [u8]> {
    let (own, behind) = field.split_first_chunk::<N>()?;
    let value = behind.strip_prefix(b":")?;
    let is = own.iter().zip(name).fold(true, |is, (own, name)| is & (own | 0x20 == *name));
    is.then(|| value.trim_ascii())
}

/// Parses a number without sign; returns None if it is invalid, or exceeds a u64.
fn parse_number(text: &[u8]) -> Option<u64> {
    /// Maximum number of digits that always fit. A checked product takes 128-bit arithmetic in Wasm.
    const SURE: usize = 19;
    let digit = |byte: &u8| byte.is_ascii_digit().then_some(u64::from(byte & 15));
    match text {
        [] => None,
        _ if text.len() <= SURE => text.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?)),
        _ => parse_long_number(text),
    }
}

/// Parses a number whose digits may exceed a u64.
#[cold]
#[inline(never)]
fn parse_long_number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Parsed, parse_number, parse_request, parse_response};
    use crate::vocabulary::Method;

    #[test]
    fn a_request_is_read_to_the_empty_line() {
        let bytes =
            b"POST /a?b=c HTTP/1.1\r\nHost: h \r\ncontent-LENGTH: 12\r\nX: y\r\nTransfer-Encoding: gzip, Chunked\r\n\r\nbody";
        let Parsed::Complete(head, len) = parse_request(bytes) else { panic!("{:?}", parse_request(bytes)) };
        assert_eq!((head.method, head.target, &bytes[len..]), (Method::Post, b"/a?b=c".as_slice(), b"body".as_slice()));
        assert_eq!((head.fields.host, head.fields.content_length, head.fields.is_chunked), (b"h".as_slice(), Some(12), true));
    }

    #[test]
    fn every_beginning_of_a_head_is_too_little_or_a_part() {
        let bytes = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
        for len in 1..bytes.len() {
            let parsed = parse_request(&bytes[..len]);
            assert!(matches!(parsed, Parsed::TooShort | Parsed::Partial(_)), "{len}: {parsed:?}");
        }
        let bytes = b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n";
        for len in 1..bytes.len() {
            let parsed = parse_response(&bytes[..len]);
            assert!(matches!(parsed, Parsed::TooShort | Parsed::Partial(_)), "{len}: {parsed:?}");
        }
        assert!(
            matches!(parse_response(bytes), Parsed::Complete(head, 32) if head.status == 404),
            "{:?}",
            parse_response(bytes)
        );
    }

    #[test]
    fn a_target_may_have_any_form() {
        for (method, target) in [
            ("CONNECT", "hub.docker.com:443"),
            ("CONNECT", "[2001:db8::1]:443"),
            ("CONNECT", "h:1"),
            ("GET", "ftp://h/a"),
            ("GET", "WS://h:80/chat?a=b"),
            ("GET", "http://[::1]:80/"),
            ("GET", "coap+tcp://h"),
            ("GET", "?q"),
            ("OPTIONS", "*"),
            ("GET", "example.com:80"),
            ("GET", "x"),
        ] {
            let line = format!("{method} {target} HTTP/1.1\r\n\r\n");
            let parsed = parse_request(line.as_bytes());
            assert!(matches!(parsed, Parsed::Complete(head, _) if head.target == target.as_bytes()), "{target}: {parsed:?}");
            // A decoder that sees only the first part must not conclude that it is another protocol.
            for len in method.len() + 1..line.len() - 4 {
                let is_behind_target = len > method.len() + 1 + target.len();
                let is_odd = matches!(target, "x" | "example.com:80") && is_behind_target;
                assert!(is_odd || parse_request(&line.as_bytes()[..len]) != Parsed::Other, "{}", &line[..len]);
            }
        }
    }

    #[test]
    fn of_a_target_that_is_cut_no_part_of_a_segment_is_left() {
        for (line, target) in [
            ("GET /a/b/AKIAIOSF", "/a/b/"),
            ("GET /a/b/ ", "/a/b/"),
            ("GET /a/b HTT", "/a/b"),
            ("GET /a/b?q=1/2", "/a/b?q=1/2"),
            ("CONNECT internal.exam", ""),
        ] {
            let parsed = parse_request(line.as_bytes());
            assert!(matches!(parsed, Parsed::Partial(head) if head.target == target.as_bytes()), "{line}: {parsed:?}");
        }
        for line in ["EHLO mail.example", "SET http", "GET x", "SSTP abc:/", "PASS"] {
            assert!(matches!(parse_request(line.as_bytes()), Parsed::Other | Parsed::TooShort) || line == "SET http", "{line}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in ["get / HTTP/1.1\r\n", "GET /\r\n", "GET / HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n", "\r\n", "*1\r\n"] {
            assert_eq!(parse_request(bytes.as_bytes()), Parsed::Other, "{bytes:?}");
        }
        for bytes in ["HTTP/1.1 2000 OK", "HTTP/1.1 099 OK", "HTTP/1.1 -12 OK", "HTTP/2 200 OK \r\n", "HTTP/1.2 200 O"] {
            let parsed = parse_response(bytes.as_bytes());
            assert!(parsed == Parsed::Other || bytes.contains("2000"), "{bytes:?}: {parsed:?}");
        }
    }

    #[test]
    fn a_length_that_no_number_holds_is_none() {
        assert_eq!(parse_number(b"18446744073709551615"), Some(u64::MAX));
        for text in ["18446744073709551616", "-1", "+1", "1e9", "0x10", "", "1 2", "\u{661}"] {
            assert_eq!(parse_number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_flood_of_fields_ends_somewhere() {
        let bytes = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a:b\r\n".repeat(10_000), b"\r\n"].concat();
        assert!(matches!(parse_request(&bytes), Parsed::Partial(_)));
    }
}
