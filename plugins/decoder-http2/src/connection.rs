//! A connection: frames of both ends, and the requests that they are about.

use plugin_sdk::conversation::{Data, Emit, Ending, Foreign, Kind, Routes, Sender};
use serde::{Deserialize, Serialize};

use crate::call::{Call, Calls};
use crate::direction::{BLOCK_BYTES, Block, Direction, Found};
use crate::fields::Fields;
use crate::frame::{self, Head};
use crate::hpack::{Scratch, table::Table};
use crate::recover;
use crate::row::{End, Ended, Exchange, emit};
use crate::upgrade::{self, Upgrade};

/// What is remembered of a connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    client: Direction,
    server: Direction,
    calls: Calls,
    /// The highest stream on which something was asked; they only rise.
    last_stream: u32,
    /// There were gRPC calls on it.
    speaks_grpc: bool,
    /// Frames were seen.
    is_http2: bool,
    /// Calls in a row in which no frame was found.
    strikes: u8,
}

/// What all connections share.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub scratch: Scratch,
    pub routes: Routes,
}

/// A frame on its way through a connection.
struct Frame<'a> {
    head: Head,
    /// What is there of it.
    payload: &'a [u8],
    /// Where it begins.
    at: usize,
    /// All of it is there.
    is_whole: bool,
}

/// So many calls in which no frame is found, on a connection that had none: it is something else.
const STRIKES: u8 = 4;
/// A response whose end may have been missed is over when nothing came of it for so long; but not one of gRPC, which may be a stream
/// of events, and whose end says how it went.
const SILENCE_NS: u64 = 1_000_000_000;
/// Where it may be a stream of events, or a slow one, it is told as one whose end was not seen after so much more.
const LONG_SILENCE_NS: u64 = 30_000_000_000;
/// The stream on which the request is answered that came before the upgrade from HTTP/1.1: RFC 7540, section 3.2.
const UPGRADED: u32 = 1;
/// Streams rise by 2; a jump further than this is none of a frame.
const JUMP: u32 = 1 << 16;

// === impl Connection ===

impl Connection {
    /// Bytes of one end; how many of them, and of what follows them, are done with.
    pub(crate) fn data(&mut self, data: &Data<'_>, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        self.direction(data.sender).seen_ns = data.time_ns;
        let all = data.bytes.len() + data.missing as usize;
        let mut at = 0;
        if !self.direction(data.sender).is_synced {
            if !self.is_http2 {
                match self.upgrade(data, tools, rows)? {
                    Found::Wait => return Ok(at),
                    Found::Frame(first) if first >= data.bytes.len() => return Ok(first),
                    Found::Frame(first) => at = first,
                    Found::Beginning(_) | Found::Nowhere => {}
                }
            }
            match self.find(data, at) {
                Found::Beginning(first) => {
                    self.begin();
                    at = first;
                }
                Found::Frame(first) => at = first,
                Found::Wait => return Ok(at),
                Found::Nowhere => {
                    self.guess(data.sender, all, data.time_ns, tools, rows);
                    return self.strike().map(|()| all);
                }
            }
            self.direction(data.sender).is_synced = true;
        }
        while let Some(rest) = data.bytes.get(at..)
            && let Some(head) = Head::read(rest)
        {
            if !self.is_expected(data.sender, head) {
                self.missed(data.sender, 0);
                return self.strike().map(|()| all);
            }
            let end = at.saturating_add(head.total());
            let frame = Frame {
                head,
                payload: rest.get(frame::HEAD_BYTES..head.total().min(rest.len())).unwrap_or_default(),
                at,
                is_whole: end <= data.bytes.len(),
            };
            if !frame.is_whole && data.missing == 0 && head.is_read() && head.total() <= BLOCK_BYTES {
                break;
            }
            self.frame(&frame, data, tools, rows);
            at = end;
            (self.is_http2, self.strikes) = (true, 0);
            if data.sender == Sender::Server && head.kind == frame::DATA && head.has(frame::END_STREAM) {
                if end <= data.bytes.len() {
                    self.close(head.stream, End::Whole, data.time_ns, tools, rows);
                } else {
                    // With its last byte the response ends.
                    self.server.tail = Some(head.stream);
                }
            }
        }
        if at < all && data.missing > 0 {
            self.guess(data.sender, all - at, data.time_ns, tools, rows);
        }
        Ok(at)
    }

    /// What was to go by has gone by.
    pub(crate) fn gone_by(&mut self, sender: Sender, time_ns: u64, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        if let Some(stream) = self.direction(sender).tail.take() {
            self.close(stream, End::Whole, time_ns, tools, rows);
        }
    }

    /// Bytes of one end are missing.
    pub(crate) fn gap(&mut self, sender: Sender, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let seen_ns = self.direction(sender).seen_ns;
        self.gone_by(sender, seen_ns, tools, rows);
        self.missed(sender, seen_ns);
    }

    /// Gives up requests.
    pub(crate) fn end(&mut self, why: &Ending, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let speaks_grpc = self.speaks_grpc;
        let silence_ns = |since_ns: u64| why.time_ns().saturating_sub(since_ns);
        let is_over = |call: &Call| {
            let is_early = !call.is_asked && silence_ns(call.seen_ns) > LONG_SILENCE_NS;
            let is_silent = call.doubt_ns.is_some_and(|since_ns| silence_ns(since_ns) > SILENCE_NS);
            why.is_final() || is_early || is_silent && call.status != 0 && call.is_grpc != Some(true)
        };
        for call in self.calls.close_if(|_, call| is_over(call)) {
            emit(&call, &unfinished(&call, why, speaks_grpc), &mut tools.routes, rows);
        }
        // Those of which something may come yet: it is told when it does.
        for call in self.calls.all() {
            let may_be_over = call.doubt_ns.is_some_and(|since_ns| silence_ns(since_ns) > LONG_SILENCE_NS);
            if may_be_over && !call.began.is_given_up || why.gives_up_silent(call.began, call.seen_ns) {
                emit(call, &unfinished(call, why, speaks_grpc), &mut tools.routes, rows);
                call.began.is_given_up = true;
            }
        }
    }

    /// About how many bytes it takes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.client.weight() + self.server.weight() + self.calls.weight()
    }

    const fn direction(&mut self, sender: Sender) -> &mut Direction {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }

    fn find(&self, data: &Data<'_>, from: usize) -> Found {
        let direction = match data.sender {
            Sender::Client => &self.client,
            Sender::Server => &self.server,
        };
        let last = self.last_stream;
        // Streams that nobody knows yet are the next ones; where none is known, any may be.
        direction.find(data, from, |stream| last == 0 || stream <= last.saturating_add(JUMP))
    }

    /// Whether a frame can be that. One that is longer than allowed is none, but what was allowed may not have been seen.
    fn is_expected(&mut self, sender: Sender, head: Head) -> bool {
        let is_short = head.length <= self.direction(sender).longest;
        head.is_legal() && (is_short || head.kind == frame::DATA && self.calls.is_open(head.stream))
    }

    /// A connection begins: both tables are empty, and of the usual size.
    fn begin(&mut self) {
        self.client.table = Table::initial();
        if !self.server.is_synced {
            self.server.table = Table::initial();
        }
    }

    /// A call without a frame. Too many of them, and it is something else.
    fn strike(&mut self) -> Result<(), Foreign> {
        self.strikes = self.strikes.saturating_add(1);
        if self.strikes >= STRIKES && !self.is_http2 { Err(Foreign::Whole) } else { Ok(()) }
    }

    /// Bytes of one end are missing since then.
    fn missed(&mut self, sender: Sender, since_ns: u64) {
        self.direction(sender).lose();
        if sender == Sender::Server {
            self.calls.all().for_each(|call| call.doubt_ns = Some(call.seen_ns.max(since_ns)));
        }
    }

    /// What stands before the first frame where HTTP/1.1 was spoken first: a request that is answered on stream 1, and the server's
    /// consent. The place behind it, or nowhere. A connection may be given to this decoder from the consent on: who asked, and for
    /// what, is not known then, but how it ends is.
    #[cold]
    fn upgrade(&mut self, data: &Data<'_>, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) -> Result<Found, Foreign> {
        let is_asked = self.calls.is_open(UPGRADED);
        let (fields, behind) = match data.sender {
            Sender::Client if is_asked => return Ok(Found::Nowhere),
            Sender::Client => match upgrade::request(data.bytes, data.missing) {
                Upgrade::Here(fields, behind) => (fields, behind),
                Upgrade::Wait => return Ok(Found::Wait),
                Upgrade::No => return Ok(Found::Nowhere),
            },
            Sender::Server => match upgrade::consent(data.bytes, data.missing) {
                Upgrade::Here((), behind) => {
                    (self.is_http2, self.strikes) = (true, 0);
                    self.server.table = Table::initial();
                    if is_asked {
                        return Ok(Found::Frame(behind));
                    }
                    (Fields::unknown(), behind)
                }
                Upgrade::Wait => return Ok(Found::Wait),
                // It goes on with HTTP/1.1.
                Upgrade::No if is_asked => return Err(Foreign::Whole),
                Upgrade::No => return Ok(Found::Nowhere),
            },
        };
        let mut call = Call::default();
        let mut began = data.began(0);
        // The request of HTTP/1.1 has a row of its own, which begins in the same place and ends with the consent.
        began.sequence = began.sequence.wrapping_add(1);
        call.asked(began, data.time_ns, fields);
        self.last_stream = UPGRADED;
        self.open(UPGRADED, call, data.time_ns, tools, rows);
        Ok(Found::Frame(behind))
    }

    /// So many bytes of the server cannot be read. Where what is left of the announced bodies fits in, they are taken to be that.
    fn guess(&mut self, sender: Sender, bytes: usize, time_ns: u64, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
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

    fn close(&mut self, stream: u32, end: End<'_>, time_ns: u64, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        if let Some(call) = self.calls.get(stream).filter(|call| !call.is_asked) {
            let reason = if let End::Reset(code) = end { Some(code) } else { None };
            call.ended = Some((time_ns, reason));
        } else if let Some(call) = self.calls.close(stream) {
            emit(&call, &Ended { end, ended_ns: time_ns, speaks_grpc: self.speaks_grpc }, &mut tools.routes, rows);
        }
    }
}

/// A request of which no more is told for now.
fn unfinished<'a>(call: &Call, why: &'a Ending, speaks_grpc: bool) -> Ended<'a> {
    let (end, ended_ns) = match call.doubt_ns {
        Some(doubt_ns) => (End::Unseen, doubt_ns),
        None => (End::Unfinished(why), why.time_ns()),
    };
    Ended { end, ended_ns, speaks_grpc }
}

// === impl Connection: frames ===

impl Connection {
    fn frame(&mut self, frame: &Frame<'_>, data: &Data<'_>, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let Head { kind, stream, .. } = frame.head;
        match kind {
            frame::DATA => {
                if let Some(call) = self.calls.get(stream) {
                    self.speaks_grpc |= call.body(frame.payload, frame.head.length, data.time_ns);
                    if data.sender == Sender::Server {
                        call.doubt_ns = None;
                        call.left = call.left.map(|left| left.saturating_sub(u64::from(frame.head.length)));
                    }
                }
            }
            frame::HEADERS | frame::PUSH_PROMISE => {
                // One that was begun and not ended: the peer would be refused for it.
                if self.direction(data.sender).block.take().is_some() {
                    self.direction(data.sender).table.lose();
                }
                let mut block = Block {
                    began: data.began(frame.at),
                    stream,
                    kind,
                    is_last: frame.head.has(frame::END_STREAM) && kind == frame::HEADERS,
                    is_broken: !frame.is_whole,
                    bytes: Vec::new(),
                };
                let part = frame.head.block(frame.payload);
                if frame.head.has(frame::END_HEADERS) || !frame.is_whole {
                    self.block(&block, part, data, tools, rows);
                } else {
                    block.add(part);
                    self.direction(data.sender).block = Some(block);
                }
            }
            frame::CONTINUATION => {
                let Some(mut block) = self.direction(data.sender).block.take() else {
                    // It continues what was not seen.
                    self.direction(data.sender).table.lose();
                    return;
                };
                block.add(frame.head.block(frame.payload));
                block.is_broken |= !frame.is_whole || block.stream != stream;
                if frame.head.has(frame::END_HEADERS) || !frame.is_whole {
                    let bytes = std::mem::take(&mut block.bytes);
                    self.block(&block, &bytes, data, tools, rows);
                } else {
                    self.direction(data.sender).block = Some(block);
                }
            }
            frame::RST_STREAM => {
                let code = frame.payload.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
                self.close(stream, End::Reset(code), data.time_ns, tools, rows);
            }
            frame::GOAWAY if data.sender == Sender::Server => {
                let last = frame.payload.first_chunk().map_or(u32::MAX, |last| u32::from_be_bytes(*last));
                let speaks_grpc = self.speaks_grpc;
                for call in self.calls.close_if(|stream, _| stream > (last & u32::MAX >> 1)) {
                    emit(&call, &Ended { end: End::Refused, ended_ns: data.time_ns, speaks_grpc }, &mut tools.routes, rows);
                }
            }
            frame::SETTINGS if !frame.head.has(1) => self.settings(data.sender, frame.payload),
            _ => {}
        }
    }

    /// What this end tells the other to keep to. How large its table may be is not needed: the other end says what it makes of it.
    fn settings(&mut self, sender: Sender, payload: &[u8]) {
        const MAX_FRAME_SIZE: u16 = 5;
        for setting in payload.as_chunks::<6>().0 {
            let &[a, b, value @ ..] = setting;
            if u16::from_be_bytes([a, b]) == MAX_FRAME_SIZE {
                self.direction(sender.other()).longest = u32::from_be_bytes(value).clamp(frame::FRAME_BYTES, (1 << 24) - 1);
            }
        }
    }

    /// A header block, complete or as much of it as there will be.
    #[inline(always)]
    fn block(&mut self, block: &Block, bytes: &[u8], data: &Data<'_>, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let table = &mut self.direction(data.sender).table;
        let bytes = bytes.get(..BLOCK_BYTES).unwrap_or(bytes);
        let mut fields = recover::read(bytes, table, block.is_broken, data.sender, &mut tools.scratch);
        if block.is_broken {
            table.lose();
            fields.unknown += 1;
        }
        self.speaks_grpc |= fields.is_grpc == Some(true);
        match data.sender {
            // What is promised was asked by nobody.
            _ if block.kind == frame::PUSH_PROMISE => {}
            Sender::Client => self.request(block, fields, data.time_ns, tools, rows),
            Sender::Server => self.response(block, &fields, data.time_ns, tools, rows),
        }
    }

    #[inline(always)]
    fn request(&mut self, block: &Block, fields: Fields, time_ns: u64, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let stream = block.stream;
        let is_new = stream % 2 == 1 && stream > self.last_stream;
        if !is_new || !fields.has_pseudo && fields.unknown == 0 {
            return;
        }
        self.last_stream = stream;
        if let Some(early) = self.calls.get(stream) {
            early.asked(block.began, time_ns, fields);
            if let Some((ended_ns, reason)) = early.ended {
                self.close(stream, reason.map_or(End::Whole, End::Reset), ended_ns, tools, rows);
            }
            return;
        }
        let mut call = Call::default();
        call.asked(block.began, time_ns, fields);
        self.open(stream, call, time_ns, tools, rows);
    }

    #[inline(always)]
    fn open(&mut self, stream: u32, call: Call, time_ns: u64, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        if let Some(oldest) = self.calls.open(stream, call) {
            let ended_ns = oldest.doubt_ns.unwrap_or(time_ns);
            emit(&oldest, &Ended { end: End::Forgotten, ended_ns, speaks_grpc: self.speaks_grpc }, &mut tools.routes, rows);
        }
    }

    #[inline(always)]
    fn response(&mut self, block: &Block, fields: &Fields, time_ns: u64, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let stream = block.stream;
        let is_early = stream % 2 == 1 && stream > self.last_stream && rows.kind() == Kind::Client;
        if is_early && !self.calls.is_open(stream) {
            self.open(stream, Call::default(), time_ns, tools, rows);
        }
        let Some(call) = self.calls.get(stream) else { return };
        // An interim response, such as 103: the response is yet to come.
        if (100..200).contains(&fields.status) && !block.is_last {
            return;
        }
        call.answered(time_ns, fields);
        if block.is_last && fields.unknown > 0 {
            call.guess_grpc(fields, self.speaks_grpc);
            self.speaks_grpc |= call.is_grpc == Some(true);
        }
        if block.is_last {
            self.close(stream, End::Whole, time_ns, tools, rows);
        }
    }
}
