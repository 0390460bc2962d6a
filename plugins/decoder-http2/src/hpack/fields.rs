//! The header fields that the decoder reads, and the static table: RFC 7541, appendix A.

use serde::{Deserialize, Serialize};

/// The name of a header field. Values of names that do not matter are not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Name {
    /// The name is in a part of the connection that was not seen.
    Unknown,
    /// As `Unknown`, but the value was seen and has one or two digits, like the status of a gRPC call.
    Digits,
    /// The name was seen and does not matter.
    Other,
    /// `:authority`, `:protocol`: only their presence matters.
    Pseudo,
    Method,
    Path,
    Scheme,
    Status,
    ContentLength,
    ContentType,
    GrpcStatus,
    GrpcTimeout,
    TraceParent,
}

/// An entry of the static table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed {
    pub name: Name,
    /// Length of the name in bytes.
    pub length: u32,
    pub value: &'static str,
}

/// The static table, from index 1.
static FIXED: [Fixed; NAMES.len()] = fixed();

const NAMES: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

// === impl Name ===

impl Name {
    pub(crate) const fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":scheme" => Self::Scheme,
            b":status" => Self::Status,
            b"content-length" => Self::ContentLength,
            b"content-type" => Self::ContentType,
            b"grpc-status" => Self::GrpcStatus,
            b"grpc-timeout" => Self::GrpcTimeout,
            b"traceparent" => Self::TraceParent,
            [b':', ..] => Self::Pseudo,
            _ => Self::Other,
        }
    }

    /// Whether the value is read.
    pub(crate) const fn matters(self) -> bool {
        !matches!(self, Self::Unknown | Self::Other | Self::Pseudo)
    }
}

/// Returns an entry of the static table, counted from 1.
pub(crate) fn fixed_at(index: usize) -> Option<&'static Fixed> {
    FIXED.get(index.checked_sub(1)?)
}

/// Number of entries of the static table.
pub(crate) const FIXED_ENTRIES: usize = NAMES.len();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses a wrong place")]
const fn fixed() -> [Fixed; NAMES.len()] {
    let mut fixed = [Fixed { name: Name::Other, length: 0, value: "" }; NAMES.len()];
    let mut index = 0;
    while index < NAMES.len() {
        let (name, value) = NAMES[index];
        fixed[index] = Fixed { name: Name::of(name.as_bytes()), length: name.len() as u32, value };
        index += 1;
    }
    fixed
}
