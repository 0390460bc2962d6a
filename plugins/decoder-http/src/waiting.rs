//! A request that waits for its response, and a response that waits for its end.

use std::ops::Range;

use plugin_sdk::conversation::{Began, Target};
use plugin_sdk::scan::append;
use serde::{Deserialize, Serialize};

use crate::head::RequestHead;
use crate::vocabulary::Method;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub began: Began,
    pub method: Method,
    /// Name of an unusual method, path, query, host and `traceparent`, one behind the other.
    text: Vec<u8>,
    ends: [u16; 4],
    /// Size of the body as announced, or of its chunks so far; 0 if it is not known.
    pub size: u64,
}

/// A response.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response {
    /// None if its request was not seen.
    pub request: Option<Request>,
    pub status: u16,
    pub minor: u8,
    /// Size of the body.
    pub size: u64,
    /// Time at which it was complete; 0 until then.
    pub ended_ns: u64,
}

/// The ranges of a request's texts within the texts of its row.
#[derive(Debug, Clone)]
pub(crate) struct TextRanges {
    pub method: Range<usize>,
    pub path: Range<usize>,
    pub query: Range<usize>,
    pub host: Range<usize>,
}

/// Maximum number of bytes of a text that are stored. 1 KiB: more is rarely captured.
const MAX_TEXT: usize = 1024;

// === impl Request ===

impl Request {
    #[inline(always)]
    pub(crate) fn new(began: Began, head: &RequestHead<'_>, mut text: Vec<u8>) -> Self {
        let Target { path, query } = Target::of(head.target);
        let path = if path.len() > MAX_TEXT { Target::whole_segments(path.get(..MAX_TEXT).unwrap_or_default()) } else { path };
        let method = if head.method == Method::Other { head.method_name } else { b"" };
        text.clear();
        let mut add = |part: &[u8]| {
            append(&mut text, part.get(..MAX_TEXT).unwrap_or(part));
            text.len() as u16
        };
        let ends = [add(method), add(path), add(query), add(head.fields.host)];
        add(head.fields.trace_parent);
        Self { began, method: head.method, text, ends, size: 0 }
    }

    /// Returns the texts of a row, one behind the other.
    pub(crate) fn kept_text(&self) -> &[u8] {
        let [.., host] = self.ends.map(usize::from);
        self.text.get(..host).unwrap_or_default()
    }

    /// Returns the ranges of the texts.
    pub(crate) fn ranges(&self) -> TextRanges {
        let [method, path, query, host] = self.ends.map(usize::from);
        TextRanges { method: 0..method, path: method..path, query: path..query, host: query..host }
    }

    pub(crate) fn path(&self) -> &[u8] {
        self.text.get(self.ranges().path).unwrap_or_default()
    }

    pub(crate) fn trace_parent(&self) -> &[u8] {
        let [.., host] = self.ends.map(usize::from);
        self.text.get(host..).unwrap_or_default()
    }

    /// Returns the buffer of its texts.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.text
    }
}
