//! Finds the frames in the bytes of both ends, and passes each to its handler.

use plugin_sdk::conversation::{Data, Emit, Foreign, Sender};

use crate::attributes::{End, Ended, Exchange, emit};
use crate::connection::{Connection, Tools};
use crate::direction::{BLOCK_BYTES, Block, Found};
use crate::fields::Fields;
use crate::frame::{self, Head};
use crate::hpack::table::Table;
use crate::recover;
use crate::upgrade::{self, Upgrade};
use crate::waiting::Call;

/// A frame that is being handled.
struct Frame<'a> {
    head: Head,
    /// The captured part of the payload.
    payload: &'a [u8],
    /// Its offset in the call.
    at: usize,
    /// Whether the whole payload was captured.
    is_whole: bool,
}

/// The stream that carries the response to the request that came before the upgrade from HTTP/1.1: RFC 7540, section 3.2.
const UPGRADED: u32 = 1;

// === impl Connection: bytes ===

impl Connection {
    /// Reads the bytes of one end; returns how many bytes, of these and of those that follow, are consumed.
    pub(crate) fn read_data(
        &mut self,
        data: &Data<'_>,
        tools: &mut Tools,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        self.direction(data.sender).seen_ns = data.time_ns;
        let all = data.bytes.len() + data.missing as usize;
        let mut at = 0;
        if !self.direction(data.sender).is_synced {
            if !self.is_confirmed {
                match self.handle_upgrade(data, tools, rows)? {
                    Found::Wait => return Ok(at),
                    Found::Frame(first) if first >= data.bytes.len() => return Ok(first),
                    Found::Frame(first) => at = first,
                    Found::Beginning(_) | Found::Nowhere => {}
                }
            }
            match self.find_frame(data, at) {
                Found::Beginning(first) => {
                    self.begin_connection();
                    at = first;
                }
                Found::Frame(first) => at = first,
                Found::Wait => return Ok(at),
                Found::Nowhere => {
                    self.finish_unread_bodies(data.sender, all, data.time_ns, tools, rows);
                    return self.count_unreadable().map(|()| all);
                }
            }
            self.direction(data.sender).is_synced = true;
        }
        while let Some(rest) = data.bytes.get(at..)
            && let Some(head) = Head::read(rest)
        {
            if !self.is_expected(data.sender, head) {
                self.handle_gap(data.sender, 0);
                return self.count_unreadable().map(|()| all);
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
            self.handle_frame(&frame, data, tools, rows);
            at = end;
            (self.is_confirmed, self.unreadable) = (true, 0);
            if data.sender == Sender::Server && head.kind == frame::DATA && head.has(frame::END_STREAM) {
                if end <= data.bytes.len() {
                    self.close_stream(head.stream, End::Whole, data.time_ns, tools, rows);
                } else {
                    // The response ends with the last byte of this frame.
                    self.server.tail = Some(head.stream);
                }
            }
        }
        if at < all && data.missing > 0 {
            self.finish_unread_bodies(data.sender, all - at, data.time_ns, tools, rows);
        }
        Ok(at)
    }

    /// Completes the response whose last bytes have passed.
    pub(crate) fn gone_by(&mut self, sender: Sender, time_ns: u64, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        if let Some(stream) = self.direction(sender).tail.take() {
            self.close_stream(stream, End::Whole, time_ns, tools, rows);
        }
    }

    /// Handles missing bytes of one end.
    pub(crate) fn gap(&mut self, sender: Sender, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let seen_ns = self.direction(sender).seen_ns;
        self.gone_by(sender, seen_ns, tools, rows);
        self.handle_gap(sender, seen_ns);
    }

    /// Handles the bytes before the first frame if HTTP/1.1 was spoken first: a request that is answered on stream 1, and the server's 101
    /// response. Returns the position behind it, if any. A connection may be handed to this decoder after the 101 response: then the
    /// request is not known, but how it ends is.
    #[cold]
    fn handle_upgrade(&mut self, data: &Data<'_>, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) -> Result<Found, Foreign> {
        let is_asked = self.calls.is_open(UPGRADED);
        let (fields, behind) = match data.sender {
            Sender::Client if is_asked => return Ok(Found::Nowhere),
            Sender::Client => match upgrade::parse_request(data.bytes, data.missing) {
                Upgrade::Here(fields, behind) => (fields, behind),
                Upgrade::Wait => return Ok(Found::Wait),
                Upgrade::No => return Ok(Found::Nowhere),
            },
            Sender::Server => match upgrade::parse_consent(data.bytes, data.missing) {
                Upgrade::Here((), behind) => {
                    (self.is_confirmed, self.unreadable) = (true, 0);
                    self.server.table = Table::initial();
                    if is_asked {
                        return Ok(Found::Frame(behind));
                    }
                    (Fields::unknown(), behind)
                }
                Upgrade::Wait => return Ok(Found::Wait),
                // The connection continues with HTTP/1.1.
                Upgrade::No if is_asked => return Err(Foreign::Whole),
                Upgrade::No => return Ok(Found::Nowhere),
            },
        };
        let mut call = Call::default();
        let mut began = data.began(0);
        // The HTTP/1.1 request has its own row, which begins at the same place and ends with the 101 response.
        began.sequence = began.sequence.wrapping_add(1);
        call.set_request(began, data.time_ns, fields);
        self.last_stream = UPGRADED;
        self.open_stream(UPGRADED, call, data.time_ns, tools, rows);
        Ok(Found::Frame(behind))
    }
}

// === impl Connection: frames ===

impl Connection {
    fn handle_frame(&mut self, frame: &Frame<'_>, data: &Data<'_>, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let Head { kind, stream, .. } = frame.head;
        match kind {
            frame::DATA => {
                if let Some(call) = self.calls.get(stream) {
                    self.speaks_grpc |= call.add_body(frame.payload, frame.head.length, data.time_ns);
                    if data.sender == Sender::Server {
                        call.gap_ns = None;
                        call.left = call.left.map(|left| left.saturating_sub(u64::from(frame.head.length)));
                    }
                }
            }
            frame::HEADERS | frame::PUSH_PROMISE => {
                // A header block was begun and not ended: a real peer would fail the connection.
                if self.direction(data.sender).block.take().is_some() {
                    self.direction(data.sender).table.lose_position();
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
                    self.handle_block(&block, part, data, tools, rows);
                } else {
                    block.add_part(part);
                    self.direction(data.sender).block = Some(block);
                }
            }
            frame::CONTINUATION => {
                let Some(mut block) = self.direction(data.sender).block.take() else {
                    // It continues a block whose beginning was not seen.
                    self.direction(data.sender).table.lose_position();
                    return;
                };
                block.add_part(frame.head.block(frame.payload));
                block.is_broken |= !frame.is_whole || block.stream != stream;
                if frame.head.has(frame::END_HEADERS) || !frame.is_whole {
                    let bytes = std::mem::take(&mut block.bytes);
                    self.handle_block(&block, &bytes, data, tools, rows);
                } else {
                    self.direction(data.sender).block = Some(block);
                }
            }
            frame::RST_STREAM => {
                let code = frame.payload.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
                self.close_stream(stream, End::Reset(code), data.time_ns, tools, rows);
            }
            frame::GOAWAY if data.sender == Sender::Server => {
                let last = frame.payload.first_chunk().map_or(u32::MAX, |last| u32::from_be_bytes(*last));
                let speaks_grpc = self.speaks_grpc;
                for call in self.calls.close_if(|stream, _| stream > (last & u32::MAX >> 1)) {
                    emit(&call, &Ended { end: End::Refused, ended_ns: data.time_ns, speaks_grpc }, &mut tools.routes, rows);
                }
            }
            frame::SETTINGS if !frame.head.has(1) => self.handle_settings(data.sender, frame.payload),
            _ => {}
        }
    }

    /// Handles SETTINGS, which apply to the other end. The size of the table is not needed: the other end announces the size that it uses.
    fn handle_settings(&mut self, sender: Sender, payload: &[u8]) {
        const MAX_FRAME_SIZE: u16 = 5;
        for setting in payload.as_chunks::<6>().0 {
            let &[a, b, value @ ..] = setting;
            if u16::from_be_bytes([a, b]) == MAX_FRAME_SIZE {
                self.direction(sender.other()).longest = u32::from_be_bytes(value).clamp(frame::FRAME_BYTES, (1 << 24) - 1);
            }
        }
    }

    /// Handles a header block, complete or cut.
    #[inline(always)]
    fn handle_block(&mut self, block: &Block, bytes: &[u8], data: &Data<'_>, tools: &mut Tools, rows: &mut Emit<'_, Exchange>) {
        let table = &mut self.direction(data.sender).table;
        let bytes = bytes.get(..BLOCK_BYTES).unwrap_or(bytes);
        let mut fields = recover::read_block(bytes, table, block.is_broken, data.sender, &mut tools.scratch);
        if block.is_broken {
            table.lose_position();
            fields.unknown += 1;
        }
        self.speaks_grpc |= fields.is_grpc == Some(true);
        match data.sender {
            // A promised response has no request.
            _ if block.kind == frame::PUSH_PROMISE => {}
            Sender::Client => self.handle_request(block, fields, data.time_ns, tools, rows),
            Sender::Server => self.handle_response(block, &fields, data.time_ns, tools, rows),
        }
    }
}
