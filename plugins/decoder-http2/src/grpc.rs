//! gRPC over HTTP/2: what its status is called, and what stands for it where a call ended without one.

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

const CANCELLED: u8 = 1;
const UNKNOWN: u8 = 2;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
/// What clients say of calls that never reached the server.
pub(crate) const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// Whether a content type is that of gRPC: `application/grpc`, `application/grpc+proto`; not `application/grpc-web`, which is HTTP.
pub(crate) fn is_content_type(value: &[u8]) -> bool {
    value.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// The value of `grpc-status`.
pub(crate) fn status(value: &[u8]) -> Option<u8> {
    let is_number = !value.is_empty() && value.len() <= 2 && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| value.iter().fold(0, |number, digit| number * 10 + (digit - b'0')))
}

/// The name of a status.
pub(crate) fn name(status: u8) -> &'static str {
    NAMES.get(usize::from(status)).copied().unwrap_or("UNKNOWN")
}

/// Whether a status is an error of the row: to a client everything but OK is, to a server only what is its own fault.
pub(crate) const fn is_error(status: u8, to_server: bool) -> bool {
    // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS; numbers without a name count as UNKNOWN.
    if to_server { matches!(status, 2 | 4 | 12 | 13 | 14 | 15 | 17..) } else { status != 0 }
}

/// The status of a call that was answered without one: of the HTTP status, as the gRPC project maps it.
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

/// The status of a call whose stream was reset, as the gRPC project maps it.
pub(crate) const fn of_reset(code: u32) -> u8 {
    match code {
        7 => UNAVAILABLE,
        8 => CANCELLED,
        11 => RESOURCE_EXHAUSTED,
        12 => PERMISSION_DENIED,
        _ => INTERNAL,
    }
}

/// Service and method of a path, and both as one: `/pkg.Service/Method`. None of another path.
pub(crate) fn method(path: &str) -> Option<(&str, &str)> {
    let full = path.strip_prefix('/')?;
    let (service, method) = full.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some((service, full))
}

#[cfg(test)]
mod tests {
    use super::{is_content_type, is_error, method, name, of_reset, status};

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
        assert_eq!(status(b"5").map(name), Some("NOT_FOUND"));
        assert_eq!(status(b"16").map(name), Some("UNAUTHENTICATED"));
        assert_eq!(status(b"99").map(name), Some("UNKNOWN"));
        assert_eq!([status(b""), status(b"-1"), status(b"100"), status(b"ok")], [None; 4]);
        assert_eq!(name(of_reset(8)), "CANCELLED");
    }

    #[test]
    fn not_found_is_an_error_to_the_client_alone() {
        assert!(is_error(5, false) && !is_error(5, true));
        assert!(is_error(14, false) && is_error(14, true));
        assert!(!is_error(0, false) && !is_error(0, true));
    }

    #[test]
    fn a_path_of_two_parts_is_a_method() {
        assert_eq!(method("/pkg.Echo/Say"), Some(("pkg.Echo", "pkg.Echo/Say")));
        assert_eq!([method("/a"), method("/a/b/c"), method("//b"), method("/a/"), method("a/b"), method("")], [None; 6]);
    }
}
