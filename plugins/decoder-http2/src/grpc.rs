//! gRPC over HTTP/2: the names of its status codes, and the status of a call that ended without one.

use plugin_sdk::conversation::Evidence;

/// The names of the status codes: <https://grpc.io/docs/guides/status-codes/>.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(crate) const CANCELLED: u8 = 1;
pub(crate) const DEADLINE_EXCEEDED: u8 = 4;
const UNKNOWN: u8 = 2;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
/// The status that clients report for calls that never reached the server.
pub(crate) const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// Whether a content type is that of gRPC: `application/grpc`, `application/grpc+proto`; not `application/grpc-web`, which is HTTP.
pub(crate) fn is_content_type(value: &[u8]) -> bool {
    value.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Parses the value of `grpc-status`.
pub(crate) fn parse_status(value: &[u8]) -> Option<u8> {
    let is_number = !value.is_empty() && value.len() <= 2 && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| value.iter().fold(0, |number, digit| number * 10 + (digit - b'0')))
}

/// Whether a status has a name.
pub(crate) fn is_status(status: u8) -> bool {
    usize::from(status) < NAMES.len()
}

/// Parses the value of `grpc-timeout`, at most eight digits and a unit; returns nanoseconds.
pub(crate) fn parse_timeout(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let unit = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1000,
        b'n' => 1,
        _ => return None,
    };
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0')).saturating_mul(unit))
}

/// Whether a client that cancels a call after this time does so because its deadline has passed. Its clock began to run before the call was
/// seen, so the time may be slightly too short.
pub(crate) fn is_over_deadline(timeout_ns: u64, elapsed_ns: u64) -> bool {
    const LEAST_NS: u64 = 2_000_000;
    const MOST_NS: u64 = 50_000_000;
    let missing_ns = (timeout_ns / 10).clamp(LEAST_NS, MOST_NS).min(timeout_ns / 2);
    elapsed_ns.saturating_add(missing_ns) >= timeout_ns
}

/// Whether the payload of a DATA frame is exactly one message of gRPC: a flag, a length, and as many bytes.
pub(crate) fn is_message(payload: &[u8], length: u32) -> bool {
    const PREFIX: u32 = 5;
    let Some(&[flag, size @ ..]) = payload.first_chunk::<5>() else { return false };
    flag <= 1 && u32::from_be_bytes(size).checked_add(PREFIX) == Some(length)
}

/// The name of a status.
pub(crate) fn status_name(status: u8) -> &'static str {
    NAMES.get(usize::from(status)).copied().unwrap_or("UNKNOWN")
}

/// Whether a status is an error of the row: for a client every status but OK, for a server only statuses that it caused.
pub(crate) const fn is_error(status: u8, to_server: bool) -> bool {
    // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS; numbers without a name count as UNKNOWN.
    if to_server { matches!(status, 2 | 4 | 12 | 13 | 14 | 15 | 17..) } else { status != 0 }
}

/// Returns the evidence that a status gives for the method that was called. A server sends UNIMPLEMENTED for a method that it does not
/// have: for the server the name may be invented, for the client it is one that its own program calls. Without a status, or with one that
/// proxies send as well, the evidence is unsure.
pub(crate) const fn evidence(status: Option<u8>, to_server: bool) -> Evidence {
    match status {
        Some(UNIMPLEMENTED) if to_server => Evidence::Absent,
        // CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED.
        None | Some(1 | 2 | 4 | 7 | 8 | 12 | 13 | 14 | 16..) => Evidence::Unsure,
        Some(_) => Evidence::Found,
    }
}

/// Returns the status of a call that was answered without one: the HTTP status, as the gRPC project maps it.
pub(crate) const fn of_http(status: u16) -> u8 {
    match status {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// Returns the status of a call whose stream was reset, as the gRPC project maps it.
pub(crate) const fn of_reset(code: u32) -> u8 {
    match code {
        7 => UNAVAILABLE,
        8 => CANCELLED,
        11 => RESOURCE_EXHAUSTED,
        12 => PERMISSION_DENIED,
        _ => INTERNAL,
    }
}

/// Returns service and method of a path `/pkg.Service/Method`; None for another path.
pub(crate) fn parse_method(path: &str) -> Option<(&str, &str)> {
    let full = path.strip_prefix('/')?;
    let (service, method) = full.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some((service, full))
}

#[cfg(test)]
mod tests {
    use super::{
        is_content_type, is_error, is_message, is_over_deadline, of_reset, parse_method, parse_status, parse_timeout,
        status_name,
    };

    #[test]
    fn a_timeout_is_a_number_and_a_unit() {
        for (text, ns) in [("1S", 1_000_000_000), ("99999999n", 99_999_999), ("100m", 100_000_000), ("2M", 120_000_000_000)] {
            assert_eq!(parse_timeout(text.as_bytes()), Some(ns), "{text}");
        }
        assert_eq!(parse_timeout(b"99999999H"), Some(u64::MAX));
        for none in ["", "1", "S", "1s", "-1S", "123456789m", "1.5S"] {
            assert_eq!(parse_timeout(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_call_that_is_given_up_just_before_its_deadline_was_seen_a_little_late() {
        let ms = 1_000_000;
        assert!(is_over_deadline(100 * ms, 100 * ms) && is_over_deadline(100 * ms, 92 * ms) && is_over_deadline(2 * ms, ms));
        assert!(!is_over_deadline(100 * ms, 80 * ms) && !is_over_deadline(10_000 * ms, 9_000 * ms) && !is_over_deadline(ms, 0));
    }

    #[test]
    fn a_message_is_as_long_as_it_says() {
        assert!(is_message(b"\0\0\0\0\x02\x0a\0", 7) && is_message(b"\x01\0\0\0\0", 5) && is_message(b"\0\0\0\x10\0xx", 4101));
        for (other, length) in [(b"{\"a\":1}".as_slice(), 7), (b"\0\0\0\0\x02\x0a", 6), (b"\x02\0\0\0\0", 5), (b"\0\0\0", 3)] {
            assert!(!is_message(other, length), "{other:?}");
        }
        assert!(!is_message(b"\0\xff\xff\xff\xff", 4), "no number is so large");
    }

    #[test]
    fn grpc_web_is_not_grpc() {
        for grpc in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert!(is_content_type(grpc.as_bytes()), "{grpc}");
        }
        for other in ["application/grpc-web", "application/grpcx", "application/json", ""] {
            assert!(!is_content_type(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_status_is_its_name_and_anything_else_is_none() {
        assert_eq!(parse_status(b"5").map(status_name), Some("NOT_FOUND"));
        assert_eq!(parse_status(b"16").map(status_name), Some("UNAUTHENTICATED"));
        assert_eq!(parse_status(b"99").map(status_name), Some("UNKNOWN"));
        assert_eq!([parse_status(b""), parse_status(b"-1"), parse_status(b"100"), parse_status(b"ok")], [None; 4]);
        assert_eq!(status_name(of_reset(8)), "CANCELLED");
    }

    #[test]
    fn not_found_is_an_error_to_the_client_alone() {
        assert!(is_error(5, false) && !is_error(5, true));
        assert!(is_error(14, false) && is_error(14, true));
        assert!(!is_error(0, false) && !is_error(0, true));
    }

    #[test]
    fn a_path_of_two_parts_is_a_method() {
        assert_eq!(parse_method("/pkg.Echo/Say"), Some(("pkg.Echo", "pkg.Echo/Say")));
        assert_eq!(
            [
                parse_method("/a"),
                parse_method("/a/b/c"),
                parse_method("//b"),
                parse_method("/a/"),
                parse_method("a/b"),
                parse_method("")
            ],
            [None; 6]
        );
    }
}
