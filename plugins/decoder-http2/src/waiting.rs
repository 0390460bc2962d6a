//! Requests that wait for their responses, one per stream.

use plugin_sdk::conversation::{Began, Short};
use serde::{Deserialize, Serialize};

use crate::fields::{Fields, TraceParent};
use crate::grpc;
use crate::vocabulary::{Method, Scheme};

/// A request that waits for the end of its response.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Whether the request itself was seen. A client may write in one thread and read in another, whose record arrives first.
    pub is_asked: bool,
    pub began: Began,
    pub method: Method,
    pub scheme: Scheme,
    /// The target with its query.
    pub target: Short,
    pub trace_parent: Option<TraceParent>,
    /// Whether a content type, the request's or the response's, is that of gRPC.
    pub is_grpc: Option<bool>,
    /// 0 until a response is seen.
    pub status: u16,
    pub grpc_status: Option<u8>,
    /// The timeout that a gRPC client set, if any.
    pub timeout_ns: Option<u64>,
    /// Bytes of the response's body that were announced and not seen yet.
    pub left: Option<u64>,
    /// Time at which a frame of this stream was last seen.
    pub seen_ns: u64,
    /// Time since which its end may have been missed, because of a gap.
    pub gap_ns: Option<u64>,
    /// Whether there were unknown fields, which may be those that are missing.
    pub has_unknown_fields: bool,
    /// Time at which it ended, and the reason if it was reset, if the end was seen before the request.
    pub ended: Option<(u64, Option<u32>)>,
}

/// The requests of a connection that have not ended, at most [`MAX`](Self::MAX).
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// Their stream numbers; separate from `calls`, because they are searched.
    streams: Vec<u32>,
    calls: Vec<Call>,
}

// === impl Call ===

impl Call {
    /// Sets the fields of the request.
    pub(crate) fn set_request(&mut self, began: Began, time_ns: u64, fields: Fields) {
        self.is_asked = true;
        self.began = began;
        self.method = fields.method;
        self.scheme = fields.scheme;
        self.target = fields.target;
        self.trace_parent = fields.trace_parent;
        self.is_grpc = fields.is_grpc.or(self.is_grpc);
        self.timeout_ns = fields.timeout_ns;
        self.seen_ns = time_ns;
        self.has_unknown_fields |= fields.unknown > 0;
    }

    /// Sets the fields of the response, or of its trailers.
    pub(crate) fn set_response(&mut self, time_ns: u64, fields: &Fields) {
        self.seen_ns = time_ns;
        self.gap_ns = None;
        self.has_unknown_fields |= fields.unknown > 0;
        if fields.status != 0 {
            self.status = fields.status;
            self.left = fields.content_length;
        }
        self.is_grpc = self.is_grpc.or(fields.is_grpc);
        self.grpc_status = fields.grpc_status.or(self.grpc_status);
    }

    /// Decides, for a response that ends with an incompletely known block, whether it is a gRPC call and with which status.
    #[cold]
    pub(crate) fn guess_grpc(&mut self, fields: &Fields, speaks_grpc: bool) {
        // Trailers hardly occur outside of gRPC.
        let is_trailer = !fields.has_pseudo && self.method.name() == "POST";
        let is_grpc = *self.is_grpc.get_or_insert(is_trailer || speaks_grpc);
        if is_grpc && self.grpc_status.is_none() {
            self.grpc_status = fields.likely_grpc_status();
        }
    }

    /// Adds a part of a body. If the content type is unknown, a message of gRPC in it identifies gRPC; returns whether it did.
    #[inline]
    pub(crate) fn add_body(&mut self, payload: &[u8], length: u32, time_ns: u64) -> bool {
        self.seen_ns = time_ns;
        let is_message = self.has_unknown_fields && self.is_grpc.is_none() && grpc::is_message(payload, length);
        if is_message {
            self.is_grpc = Some(true);
        }
        is_message
    }
}

// === impl Calls ===

impl Calls {
    /// Maximum number of requests. Servers of HTTP allow 100 to 250 at once, those of gRPC any number.
    pub(crate) const MAX: usize = 1024;

    /// Adds a request. Above the maximum, returns the oldest one.
    pub(crate) fn open(&mut self, stream: u32, call: Call) -> Option<Call> {
        let oldest = if self.streams.len() >= Self::MAX { self.oldest() } else { None };
        self.streams.push(stream);
        self.calls.push(call);
        oldest
    }

    /// Returns the request on a stream.
    #[inline]
    pub(crate) fn get(&mut self, stream: u32) -> Option<&mut Call> {
        let place = self.place(stream)?;
        self.calls.get_mut(place)
    }

    #[inline]
    pub(crate) fn is_open(&self, stream: u32) -> bool {
        self.place(stream).is_some()
    }

    /// Removes the request on a stream, and returns it.
    #[inline]
    pub(crate) fn close(&mut self, stream: u32) -> Option<Call> {
        let place = self.place(stream)?;
        self.streams.swap_remove(place);
        let call = self.calls.swap_remove(place);
        // The memory of a burst must not be held for the life of the connection.
        if self.streams.is_empty() && self.streams.capacity() > 16 {
            *self = Self::default();
        }
        Some(call)
    }

    /// Removes all requests that satisfy the condition, the oldest first.
    pub(crate) fn close_if(&mut self, mut is_over: impl FnMut(u32, &Call) -> bool) -> Vec<Call> {
        let over = self.streams.iter().zip(&self.calls).filter(|&(&stream, call)| is_over(stream, call));
        let mut over: Vec<u32> = over.map(|(&stream, _)| stream).collect();
        over.sort_unstable();
        over.into_iter().filter_map(|stream| self.close(stream)).collect()
    }

    /// Iterates over all requests.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Call> {
        self.calls.iter_mut()
    }

    /// Returns the approximate number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        // A target and a `traceparent` have 80 bytes on the heap, most of the time.
        self.calls.capacity() * (size_of::<Call>() + 80)
    }

    fn oldest(&mut self) -> Option<Call> {
        let oldest = *self.streams.iter().min()?;
        self.close(oldest)
    }

    /// Searched from the end: the newest are answered most often.
    #[inline]
    fn place(&self, stream: u32) -> Option<usize> {
        self.streams.iter().rposition(|&known| known == stream)
    }
}
