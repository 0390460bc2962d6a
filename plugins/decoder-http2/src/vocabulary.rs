//! Names of request methods, schemes and reset reasons. All others become `_OTHER` or empty, because they come from the wire and are
//! dimensions.

use serde::{Deserialize, Serialize};

/// A request method: its index in the list of names. 0 is any other, or one that was not seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Method(u8);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scheme {
    #[default]
    Unknown,
    Http,
    Https,
}

/// The methods that have a name in metrics, as the conventions require.
const METHODS: [&str; 11] = ["_OTHER", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "QUERY"];
/// The names of the reset reasons: RFC 9113, section 7.
const RESETS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];
/// The name of a method that was not seen or is not known.
pub(crate) const OTHER: &str = "_OTHER";

// === impl Method ===

impl Method {
    pub(crate) fn of(name: &[u8]) -> Self {
        let place = METHODS.iter().position(|known| known.as_bytes() == name).unwrap_or(0);
        Self(place as u8)
    }

    /// Returns the name; `_OTHER` for an unknown method.
    pub(crate) fn name(self) -> &'static str {
        METHODS.get(usize::from(self.0)).copied().unwrap_or("_OTHER")
    }
}

// === impl Scheme ===

impl Scheme {
    /// Returns the name; empty if it is not known.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Returns the name of the reason for which a stream was reset.
pub(crate) fn reset_reason(code: u32) -> &'static str {
    RESETS.get(code as usize).copied().unwrap_or(OTHER)
}
