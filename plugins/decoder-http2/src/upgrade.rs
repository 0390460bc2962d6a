//! The upgrade from HTTP/1.1 to HTTP/2 over plaintext: RFC 7540, section 3.2. The request before it is answered on stream 1.

use plugin_sdk::scan;

use crate::fields::{Fields, TRACE_PARENT_BYTES};

/// The head of an HTTP/1.1 message.
#[derive(Debug)]
pub(crate) enum Upgrade<T> {
    /// Its content and its length; for a request including the body.
    Here(T, usize),
    /// More bytes are needed to decide.
    Wait,
    /// The message does not belong to an upgrade.
    No,
}

/// Maximum length of a head.
const MAX_HEAD: usize = 8 * 1024;
/// The last bytes of the first line of a request.
const VERSION: &[u8] = b" HTTP/1.1";
/// The first bytes of the server's 101 response.
const SWITCHING: &[u8] = b"HTTP/1.1 101";

/// Parses a request that asks for the upgrade.
pub(crate) fn parse_request(bytes: &[u8], missing: u32) -> Upgrade<Fields> {
    let Some((line, first)) = scan::line(bytes) else { return wait_or_refuse(bytes, missing) };
    let Some(line) = line.strip_suffix(VERSION) else { return Upgrade::No };
    let Some((method, target)) = scan::find(line, b' ').and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?))) else {
        return Upgrade::No;
    };
    let mut fields = Fields::upgraded(method, target);
    let (mut asks, mut body) = (false, 0);
    let head = read_head(bytes, first, |name, value| match () {
        () if name.eq_ignore_ascii_case(b"upgrade") => asks |= is_h2c(value),
        () if name.eq_ignore_ascii_case(b"content-length") => body = parse_digits(value),
        () if name.eq_ignore_ascii_case(b"traceparent") && value.len() == TRACE_PARENT_BYTES => {
            fields.trace_parent = Some(value.into());
        }
        () => {}
    });
    match head {
        Some(length) if asks => Upgrade::Here(fields, length.saturating_add(body)),
        Some(_) => Upgrade::No,
        None => wait_or_refuse(bytes, missing),
    }
}

/// Parses the server's 101 response.
pub(crate) fn parse_consent(bytes: &[u8], missing: u32) -> Upgrade<()> {
    let start = bytes.get(..SWITCHING.len()).unwrap_or(bytes);
    if !SWITCHING.starts_with(start) {
        return Upgrade::No;
    }
    let Some((_, first)) = scan::line(bytes) else { return wait_or_refuse(bytes, missing) };
    let mut agrees = false;
    match read_head(bytes, first, |name, value| agrees |= name.eq_ignore_ascii_case(b"upgrade") && is_h2c(value)) {
        Some(length) if agrees => Upgrade::Here((), length),
        Some(_) => Upgrade::No,
        None => wait_or_refuse(bytes, missing),
    }
}

/// Handles a head without its end: the end may come with the next call, unless the head is too long or was not captured.
fn wait_or_refuse<T>(bytes: &[u8], missing: u32) -> Upgrade<T> {
    let is_text = bytes.iter().take(16).all(|byte| (b' '..0x7f).contains(byte) || matches!(byte, b'\r' | b'\n'));
    if missing == 0 && bytes.len() < MAX_HEAD && is_text { Upgrade::Wait } else { Upgrade::No }
}

/// Passes the fields of a head from `at` on to `take`; returns the length of the head, or None if its end is not there.
fn read_head(bytes: &[u8], mut at: usize, mut take: impl FnMut(&[u8], &[u8])) -> Option<usize> {
    while at < MAX_HEAD {
        let (line, length) = scan::line(bytes.get(at..)?)?;
        at += length;
        if line.is_empty() {
            return Some(at);
        }
        if let Some(colon) = scan::find(line, b':') {
            take(line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default().trim_ascii());
        }
    }
    None
}

/// Whether `h2c` is among these protocols.
fn is_h2c(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// Parses a length; returns 0 if it is invalid, or longer than a body before an upgrade.
fn parse_digits(value: &[u8]) -> usize {
    let digit = |number: usize, byte: &u8| byte.is_ascii_digit().then(|| number * 10 + usize::from(byte - b'0'));
    if value.len() > 8 { 0 } else { value.iter().try_fold(0, digit).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::{Upgrade, parse_consent, parse_request};

    const ASKED: &[u8] =
        b"POST /up?a=b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nupgrade: foo, H2C\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn a_request_for_the_upgrade_is_read_with_its_body_and_waited_for() {
        let Upgrade::Here(fields, length) = parse_request(ASKED, 0) else { panic!("it is one") };
        assert_eq!((fields.method.name(), &*fields.target, length), ("POST", "/up?a=b", ASKED.len()));
        for cut in 0..ASKED.len() - 5 {
            assert!(matches!(parse_request(&ASKED[..cut], 0), Upgrade::Wait), "{cut}");
            assert!(matches!(parse_request(&ASKED[..cut], 1), Upgrade::No), "{cut}");
        }
    }

    #[test]
    fn what_asks_for_something_else_is_none() {
        for other in [
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n".as_slice(),
            b"GET / HTTP/1.1\r\nHost: h2c\r\n\r\n",
            b"GET / HTTP/1.0\r\nUpgrade: h2c\r\n\r\n",
            b"\0\0\0\x04\0\0\0\0\0",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &[b'x'; 9000],
        ] {
            assert!(matches!(parse_request(other, 0), Upgrade::No), "{:?}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn a_server_agrees_with_101_to_h2c_and_with_nothing_else() {
        let agreed = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
        assert!(
            matches!(parse_consent(&[agreed.as_slice(), b"\0\0\0\x04"].concat(), 0), Upgrade::Here((), length) if length == agreed.len())
        );
        assert!((0..agreed.len()).all(|cut| matches!(parse_consent(&agreed[..cut], 0), Upgrade::Wait)));
        for other in ["HTTP/1.1 200 OK\r\nUpgrade: h2c\r\n\r\n", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n", "\0\0\0\x04"] {
            assert!(matches!(parse_consent(other.as_bytes(), 0), Upgrade::No), "{other:?}");
        }
    }
}
