//! Matches responses to requests, by their streams.

use plugin_sdk::conversation::{Emit, Ending, Kind, Sender};

use crate::attributes::{End, Ended, Exchange, emit};
use crate::connection::{Connection, Tools};
use crate::direction::Block;
use crate::fields::Fields;
use crate::frame;
use crate::waiting::Call;

/// Silence after which a response whose end may have been missed counts as complete. Not for gRPC, which may be a stream of events, and
/// whose status is in its end.
const SILENCE_NS: u64 = 1_000_000_000;
/// The same for a response that may be a stream of events, or a slow one.
const LONG_SILENCE_NS: u64 = 30_000_000_000;

// === impl Connection ===

impl Connection {
    #[inline(always)]
    pub(crate) fn handle_request(
        &mut self,
        block: &Block,
        fields: Fields,
        time_ns: u64,
        tools: &mut Tools,
        rows: &mut Emit<'_, Exchange>,
    ) {
        let stream = block.stream;
        let is_new = stream % 2 == 1 && stream > self.last_stream;
        if !is_new || !fields.has_pseudo && fields.unknown == 0 {
            return;
        }
        self.last_stream = stream;
        if let Some(early) = self.calls.get(stream) {
            early.set_request(block.began, time_ns, fields);
            if let Some((ended_ns, reason)) = early.ended {
                self.close_stream(stream, reason.map_or(End::Whole, End::Reset), ended_ns, tools, rows);
            }
            return;
        }
        let mut call = Call::default();
        call.set_request(block.began, time_ns, fields);
        self.open_stream(stream, call, time_ns, tools, rows);
    }

    #[inline(always)]
    pub(crate) fn open_stream(
        &mut self,
        stream: u32,
        call: Call,
        time_ns: u64,
        tools: &mut Tools,
        rows: &mut Emit<'_, Exchange>,
    ) {
        if let Some(oldest) = self.calls.open(stream, call) {
            let ended_ns = oldest.gap_ns.unwrap_or(time_ns);
            emit(&oldest, &Ended { end: End::Forgotten, ended_ns, speaks_grpc: self.speaks_grpc }, &mut tools.routes, rows);
        }
    }

    #[inline(always)]
    pub(crate) fn handle_response(
        &mut self,
        block: &Block,
        fields: &Fields,
        time_ns: u64,
        tools: &mut Tools,
        rows: &mut Emit<'_, Exchange>,
    ) {
        let stream = block.stream;
        let is_early = stream % 2 == 1 && stream > self.last_stream && rows.kind() == Kind::Client;
        if is_early && !self.calls.is_open(stream) {
            self.open_stream(stream, Call::default(), time_ns, tools, rows);
        }
        let Some(call) = self.calls.get(stream) else { return };
        // An interim response, such as 103: the final response follows.
        if (100..200).contains(&fields.status) && !block.is_last {
            return;
        }
        call.set_response(time_ns, fields);
        if block.is_last && fields.unknown > 0 {
            call.guess_grpc(fields, self.speaks_grpc);
            self.speaks_grpc |= call.is_grpc == Some(true);
        }
        if block.is_last {
            self.close_stream(stream, End::Whole, time_ns, tools, rows);
        }
    }

    pub(crate) fn close_stream(
        &mut self,
        stream: u32,
        end: End<'_>,
        time_ns: u64,
        tools: &mut Tools,
        rows: &mut Emit<'_, Exchange>,
    ) {
        if let Some(call) = self.calls.get(stream).filter(|call| !call.is_asked) {
            let reason = if let End::Reset(code) = end { Some(code) } else { None };
            call.ended = Some((time_ns, reason));
        } else if let Some(call) = self.calls.close(stream) {
            emit(&call, &Ended { end, ended_ns: time_ns, speaks_grpc: self.speaks_grpc }, &mut tools.routes, rows);
        }
    }

    /// Completes the responses whose announced bodies fit into the unreadable bytes of the server.
    pub(crate) fn finish_unread_bodies(
        &mut self,
        sender: Sender,
        bytes: usize,
        time_ns: u64,
        tools: &mut Tools,
        rows: &mut Emit<'_, Exchange>,
    ) {
        if sender == Sender::Client {
            return;
        }
        let missing = bytes as u64;
        let speaks_grpc = self.speaks_grpc;
        let left = |call: &Call| if call.status == 0 { None } else { call.left };
        let (mut bodies, mut total) = (0_u32, 0_u64);
        for left in self.calls.all().filter_map(|call| left(call)) {
            bodies += 1;
            total = total.saturating_add(left).saturating_add(frame::HEAD_BYTES as u64);
        }
        if total <= missing {
            for call in self.calls.close_if(|_, call| left(call).is_some()) {
                emit(&call, &Ended { end: End::Unseen, ended_ns: time_ns, speaks_grpc }, &mut tools.routes, rows);
            }
        } else if bodies == 1 {
            for call in self.calls.all().filter(|call| left(call).is_some()) {
                call.left = call.left.map(|left| left.saturating_sub(missing));
            }
        }
    }

    /// Ends requests without waiting for their responses.
    pub(crate) fn end(&mut self, why: &Ending, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let speaks_grpc = self.speaks_grpc;
        let silence_ns = |since_ns: u64| why.time_ns().saturating_sub(since_ns);
        let is_over = |call: &Call| {
            let is_early = !call.is_asked && silence_ns(call.seen_ns) > LONG_SILENCE_NS;
            let is_silent = call.gap_ns.is_some_and(|since_ns| silence_ns(since_ns) > SILENCE_NS);
            why.is_final() || is_early || is_silent && call.status != 0 && call.is_grpc != Some(true)
        };
        for call in self.calls.close_if(|_, call| is_over(call)) {
            emit(&call, &unfinished(&call, why, speaks_grpc), &mut tools.routes, rows);
        }
        // Calls that may continue get another row when they do.
        for call in self.calls.all() {
            let may_be_over = call.gap_ns.is_some_and(|since_ns| silence_ns(since_ns) > LONG_SILENCE_NS);
            if may_be_over && !call.began.is_given_up || why.gives_up_silent(call.began, call.seen_ns) {
                emit(call, &unfinished(call, why, speaks_grpc), &mut tools.routes, rows);
                call.began.is_given_up = true;
            }
        }
    }
}

/// Returns how a request ended whose response is not waited for any more.
fn unfinished<'a>(call: &Call, why: &'a Ending, speaks_grpc: bool) -> Ended<'a> {
    let (end, ended_ns) = match call.gap_ns {
        Some(gap_ns) => (End::Unseen, gap_ns),
        None => (End::Unfinished(why), why.time_ns()),
    };
    Ended { end, ended_ns, speaks_grpc }
}
