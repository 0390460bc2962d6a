//! The fields of a header block of a request or a response.

use plugin_sdk::conversation::{Short, Target};

use crate::grpc;
use crate::hpack::fields::Name;
use crate::vocabulary::{Method, Scheme};

/// The fields of a block that are used for rows.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub method: Method,
    /// The path with its query.
    pub target: Short,
    pub scheme: Scheme,
    /// 0 if the block has none.
    pub status: u16,
    /// Whether the content type is that of gRPC; None without a content type.
    pub is_grpc: Option<bool>,
    pub grpc_status: Option<u8>,
    /// The timeout that a gRPC client set.
    pub timeout_ns: Option<u64>,
    /// Number of values of one or two digits whose names are not known, and the last of them.
    pub digits: (u32, u8),
    pub content_length: Option<u64>,
    pub trace_parent: Option<TraceParent>,
    /// Whether the block has a pseudo-header, so that it is not a trailer.
    pub has_pseudo: bool,
    /// Number of unknown fields: each may be one of the fields that are missing here.
    pub unknown: u32,
    order: Order,
}

/// The state that decides whether a block is well-formed.
#[derive(Debug, Default)]
struct Order {
    methods: u32,
    paths: u32,
    content_types: u32,
    grpc_statuses: u32,
    /// Whether there was a regular field.
    has_regular: bool,
    /// Whether a pseudo-header followed a regular field.
    is_mixed: bool,
}

/// The text of a `traceparent`, checked where it is used.
pub(crate) type TraceParent = Box<[u8]>;

/// Maximum number of bytes of a target that are stored.
const TARGET_BYTES: usize = 512;
/// Length of a `traceparent` in bytes.
pub(crate) const TRACE_PARENT_BYTES: usize = 55;

// === impl Fields ===

impl Fields {
    /// Returns the fields of an HTTP/1.1 request that is answered over HTTP/2.
    pub(crate) fn upgraded(method: &[u8], target: &[u8]) -> Self {
        let (method, target) = (Method::of(method), Short::cut(target, TARGET_BYTES));
        Self { method, target, scheme: Scheme::Http, has_pseudo: true, ..Self::default() }
    }

    /// Returns the fields of a request that was not seen.
    pub(crate) fn unknown() -> Self {
        Self { unknown: 1, ..Self::default() }
    }

    /// Adds a field.
    #[inline]
    pub(crate) fn add(&mut self, name: Name, value: &[u8]) {
        match name {
            Name::Method | Name::Path | Name::Scheme | Name::Status | Name::Pseudo => {
                self.has_pseudo = true;
                self.order.is_mixed |= self.order.has_regular;
            }
            _ => self.order.has_regular = true,
        }
        match name {
            Name::Other | Name::Pseudo => {}
            Name::Unknown => self.unknown += 1,
            Name::Digits => {
                self.unknown += 1;
                self.digits = (self.digits.0 + 1, number(value, 2).unwrap_or(0) as u8);
            }
            Name::Method => {
                self.method = Method::of(value);
                self.order.methods += 1;
            }
            Name::Path => {
                let kept = value
                    .get(..TARGET_BYTES)
                    .map_or(value, |first| if first.len() < value.len() { Target::whole_segments(first) } else { first });
                self.target = Short::lossy(kept);
                self.order.paths += 1;
            }
            Name::Scheme => {
                self.scheme = match value {
                    b"http" => Scheme::Http,
                    b"https" => Scheme::Https,
                    _ => Scheme::Unknown,
                };
            }
            Name::Status => self.status = number(value, 3).map_or(0, |status| status as u16),
            Name::ContentLength => self.content_length = number(value, 18),
            Name::ContentType => {
                self.is_grpc = Some(grpc::is_content_type(value));
                self.order.content_types += 1;
            }
            Name::GrpcStatus => {
                self.grpc_status = grpc::parse_status(value);
                self.order.grpc_statuses += 1;
            }
            Name::GrpcTimeout => self.timeout_ns = grpc::parse_timeout(value),
            Name::TraceParent => {
                self.trace_parent = (value.len() == TRACE_PARENT_BYTES).then(|| value.into());
            }
        }
    }

    /// Returns the status of a gRPC call whose value was seen without its name, if no other number is there.
    pub(crate) fn likely_grpc_status(&self) -> Option<u8> {
        let (count, digits) = self.digits;
        (count == 1 && self.grpc_status.is_none() && grpc::is_status(digits)).then_some(digits)
    }

    /// Whether this is a valid request: pseudo-headers first, and one of each.
    pub(crate) const fn is_request(&self) -> bool {
        let Order { methods, paths, content_types, is_mixed, .. } = self.order;
        methods == 1 && paths == 1 && content_types <= 1 && !is_mixed
    }

    /// Whether this is a valid response with a content type, or trailers with a status of gRPC.
    pub(crate) const fn is_response(&self) -> bool {
        let Order { content_types, grpc_statuses, is_mixed, .. } = self.order;
        let is_head = self.status != 0 && content_types == 1;
        let is_trailer = !self.has_pseudo && content_types == 0 && grpc_statuses == 1;
        (is_head || is_trailer) && grpc_statuses <= 1 && !is_mixed
    }
}

fn number(digits: &[u8], most: usize) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.len() <= most && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
