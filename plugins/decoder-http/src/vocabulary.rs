//! Names of request methods; all others are `_OTHER`, because they come from the wire and are dimensions.

use serde::{Deserialize, Serialize};

/// A method of RFC 9110 or RFC 5789, or another.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Another method, whose name is stored separately.
    Other,
}

/// Maximum length of a method; the longest in use is `UPDATEREDIRECTREF`.
const MAX_NAME: usize = 20;

// === impl Method ===

impl Method {
    /// Returns the method of this name; None if it cannot be a method.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            [b'A'..=b'Z', rest @ ..] if rest.len() < MAX_NAME && rest.iter().all(is_of_name) => Self::Other,
            _ => return None,
        })
    }

    /// Returns the value of `http.request.method`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other => "_OTHER",
        }
    }
}

const fn is_of_name(byte: &u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}
