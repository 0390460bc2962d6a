//! Matches responses to requests, in the order of the requests.

use plugin_sdk::conversation::{Data, Emit, Kind};

use crate::attributes;
use crate::connection::{Body, Connection, Position};
use crate::waiting::{Request, Response};
use crate::{Exchange, Http};

/// Maximum time by which a response may be seen before its request, if the records of a client's threads come in another order than their
/// calls. 5 ms: a few time slices of the scheduler; a larger gap would belong to another request.
const EARLY_NS: u64 = 5_000_000;
/// Maximum number of responses that are held until their requests are seen.
const MAX_EARLY: usize = 4;

// === impl Http: requests ===

impl Http {
    /// Completes the response that has begun: a client that sends another request has read it, though its end was not seen.
    #[cold]
    #[inline(never)]
    pub(crate) fn finish_unseen_response(&mut self, connection: &mut Connection, rows: &mut Emit<'_, Exchange>) {
        connection.server = Position::Lost;
        self.finish_response(connection, rows);
    }

    /// Matches a request with the response that came before it, if it belongs to it.
    #[cold]
    #[inline(never)]
    pub(crate) fn match_early(&mut self, connection: &mut Connection, request: Request, rows: &mut Emit<'_, Exchange>) {
        if let Some(mut response) = connection.early.pop() {
            let is_its = rows.kind() == Kind::Client
                && request.began.time_ns >= response.ended_ns
                && request.began.time_ns - response.ended_ns < EARLY_NS;
            connection.early.clear();
            if is_its {
                response.ended_ns = request.began.time_ns;
                response.request = Some(request);
                connection.spare_buffer = attributes::emit_answered(response, &mut self.routes, rows);
                return;
            }
        }
        self.add_request(connection, request, rows);
    }

    /// Adds a request that waits for its response.
    #[inline(always)]
    pub(crate) fn add_request(&mut self, connection: &mut Connection, request: Request, rows: &mut Emit<'_, Exchange>) {
        let now_ns = request.began.time_ns;
        if let Some(oldest) = connection.waiting.push(request) {
            attributes::emit_forgotten(&oldest, now_ns, &mut self.routes, rows);
        }
    }
}

// === impl Http: responses ===

impl Http {
    /// Completes the exchanges before a response that begins.
    pub(crate) fn begin_response(&mut self, connection: &mut Connection, rows: &mut Emit<'_, Exchange>) {
        connection.unreadable = 0;
        self.finish_response(connection, rows);
        if connection.has_lost_responses {
            restore_order(connection);
        }
    }

    /// Completes a response whose last byte was among these.
    pub(crate) fn complete_response(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        connection.server = Position::Head;
        connection.answered_ns = data.time_ns;
        self.finish_response(connection, rows);
    }

    /// Emits the response that has begun with the known data, or stores it for a request that was not seen yet.
    #[inline(always)]
    pub(crate) fn finish_response(&mut self, connection: &mut Connection, rows: &mut Emit<'_, Exchange>) {
        let Some(mut response) = connection.response.take() else { return };
        response.ended_ns = connection.answered_ns;
        if response.request.is_some() {
            connection.spare_buffer = attributes::emit_answered(response, &mut self.routes, rows);
        } else {
            keep_early(connection, response, rows.kind());
        }
    }
}

/// Drops the waiting requests of a client that sends another: they were answered by bytes that were lost.
#[cold]
#[inline(never)]
pub(crate) fn close_answered(connection: &mut Connection) {
    connection.waiting.drain().for_each(drop);
    connection.has_lost_responses = false;
}

/// Handles a response that begins before the end of the request's body.
#[cold]
#[inline(never)]
pub(crate) fn answered_before_end(connection: &mut Connection, request: Option<&mut Request>) {
    if !connection.waiting.is_empty() {
        return;
    }
    let is_left_out = connection.body == Body::Due { is_asked_for: true };
    if let Some(request) = request
        && (is_left_out || matches!(connection.client, Position::Chunks(_)))
    {
        // The body did not come, or not all of its chunks.
        request.size = 0;
    }
    if connection.body != Body::Begun {
        connection.body = Body::Doubtful;
    }
}

/// Stores a response whose request was not seen, because the request may still come.
#[cold]
#[inline(never)]
fn keep_early(connection: &mut Connection, response: Response, kind: Kind) {
    if kind == Kind::Client && connection.is_confirmed && connection.early.len() < MAX_EARLY {
        connection.early.push(response);
    }
}

/// Restores the order of requests and responses when a response begins.
#[cold]
#[inline(never)]
fn restore_order(connection: &mut Connection) {
    if !connection.is_pipelined {
        // All but the last were answered by bytes that were lost.
        while connection.waiting.len() > 1 && connection.waiting.pop().is_some() {}
    }
    connection.has_lost_responses = false;
}
