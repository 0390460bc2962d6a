//! What clients send: requests.

use plugin_sdk::conversation::{Began, Data, Emit, Foreign, Kind, Sender};

use crate::chunks::Step;
use crate::connection::{Body, Connection, Reading, Request};
use crate::head::{Parsed, RequestHead, request};
use crate::{Exchange, HTTP2, Http, STRIKES};

/// How long a response may be known before its request, on the side of a client whose threads are told of in another order than
/// they worked. 5 ms: a few turns of a scheduler; more, and it would be another request's.
const EARLY_NS: u64 = 5_000_000;

impl Http {
    /// Reads requests; how many bytes are done with.
    pub(crate) fn requests(
        &mut self,
        connection: &mut Connection,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len().saturating_add(data.missing as usize);
        let mut at = 0;
        let mut met = 0;
        while let Some(bytes) = data.bytes.get(at..).filter(|bytes| !bytes.is_empty()) {
            if connection.body != Body::Begun && !begin_body(connection, bytes, data) {
                return Ok(at);
            }
            match &mut connection.client {
                Reading::Tunnel => return Ok(usize::MAX),
                Reading::Body(left) => match body(left, bytes.len()) {
                    Some(asked) => return Ok(at + asked),
                    None => {
                        at += *left as usize;
                        connection.client = Reading::Head;
                    }
                },
                Reading::Chunks(chunks) => {
                    let mut size = 0;
                    let step = chunks.step(bytes, &mut size);
                    if let Some(request) = connection.waiting.back_mut() {
                        request.size = request.size.saturating_add(size);
                    }
                    match step {
                        Step::On(done) => return Ok(at + done),
                        Step::End(done) => {
                            at += done;
                            connection.client = Reading::Head;
                        }
                        Step::No => connection.lose(Sender::Client),
                    }
                }
                Reading::Lost | Reading::Endless if at > 0 || !data.call_start => return Ok(all),
                Reading::Head | Reading::Lost | Reading::Endless => {
                    // An empty line before a request is put up with (RFC 9112, 2.2).
                    if let [b'\r' | b'\n', ..] = bytes {
                        at += 1;
                        continue;
                    }
                    let began = data.began(at);
                    match request(bytes) {
                        Parsed::Whole(head, len) => {
                            met += 1;
                            connection.is_pipelined |= met > 1;
                            self.request(connection, began, &head, rows);
                            connection.client = framing(connection, &head);
                            at += len;
                            if at == data.bytes.len() && connection.client != Reading::Head {
                                let is_asked_for = expects(bytes.get(..len).unwrap_or_default());
                                connection.body = Body::Due { is_asked_for };
                            }
                        }
                        Parsed::Part(_) | Parsed::Little if data.missing == 0 => return Ok(at),
                        Parsed::Part(head) => {
                            self.part_of_request(connection, began, &head, rows);
                            return Ok(all);
                        }
                        Parsed::Little | Parsed::No => return no_request(connection, (bytes, at)).map(|()| all),
                    }
                }
            }
        }
        Ok(at)
    }

    /// A request was asked.
    #[inline(always)]
    fn request(&mut self, connection: &mut Connection, began: Began, head: &RequestHead<'_>, rows: &mut Emit<'_, Exchange>) {
        let request = Request::new(began, head, std::mem::take(&mut connection.room));
        connection.is_met = true;
        connection.strikes = 0;
        if !connection.is_pipelined {
            if matches!(connection.server, Reading::Lost | Reading::Endless) && connection.answer.is_some() {
                self.was_read(connection, rows);
            }
            if connection.is_unsure {
                was_answered(connection);
            }
        }
        if connection.early.is_empty() {
            self.wait(connection, request, rows);
        } else {
            self.answered_early(connection, request, rows);
        }
    }

    /// Of a request nothing more was captured than this.
    #[cold]
    #[inline(never)]
    fn part_of_request(
        &mut self,
        connection: &mut Connection,
        began: Began,
        head: &RequestHead<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) {
        self.request(connection, began, head, rows);
        connection.client = Reading::Lost;
    }

    /// Who asks again has read the response, though its end was not seen.
    #[cold]
    #[inline(never)]
    fn was_read(&mut self, connection: &mut Connection, rows: &mut Emit<'_, Exchange>) {
        connection.server = Reading::Lost;
        self.finish(connection, rows);
    }

    /// A response came before a request: it may be that of this one.
    #[cold]
    #[inline(never)]
    fn answered_early(&mut self, connection: &mut Connection, request: Request, rows: &mut Emit<'_, Exchange>) {
        if let Some(mut answer) = connection.early.pop() {
            let is_its = rows.kind() == Kind::Client
                && request.began.time_ns >= answer.ended_ns
                && request.began.time_ns - answer.ended_ns < EARLY_NS;
            connection.early.clear();
            if is_its {
                answer.ended_ns = request.began.time_ns;
                answer.request = Some(request);
                connection.room = crate::exchange::answered(answer, &mut self.routes, rows);
                return;
            }
        }
        self.wait(connection, request, rows);
    }

    /// A request waits for its response.
    #[inline(always)]
    fn wait(&mut self, connection: &mut Connection, request: Request, rows: &mut Emit<'_, Exchange>) {
        let now_ns = request.began.time_ns;
        if let Some(oldest) = connection.waiting.push(request) {
            crate::exchange::forgotten(&oldest, now_ns, &mut self.routes, rows);
        }
    }
}

/// Bytes of the client, behind a head that announced a body: is this the body? Where the server has answered already, it may be the
/// next request instead. False where there is too little to say.
#[cold]
#[inline(never)]
fn begin_body(connection: &mut Connection, bytes: &[u8], data: &Data<'_>) -> bool {
    if connection.body == Body::Doubtful {
        // Of two requests the second may begin with an empty line.
        let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        match request(bytes.get(begin..).unwrap_or_default()) {
            Parsed::Whole(..) => connection.client = Reading::Head,
            Parsed::Part(_) if data.missing > 0 => connection.client = Reading::Head,
            Parsed::Part(_) | Parsed::Little if data.missing == 0 => return false,
            _ => {}
        }
    }
    connection.body = Body::Begun;
    true
}

/// Whether the head of a request has `Expect: 100-continue`.
#[cold]
#[inline(never)]
fn expects(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"expect:";
    head.split(|&byte| byte == b'\n').any(|line| line.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD)))
}

/// This is no request.
#[cold]
#[inline(never)]
fn no_request(connection: &mut Connection, (bytes, at): (&[u8], usize)) -> Result<(), Foreign> {
    if bytes.starts_with(HTTP2) {
        // Where the server's consent to an upgrade is told of later than what the client made of it.
        return Err(if connection.is_met { Foreign::Behind(at) } else { Foreign::Whole });
    }
    connection.client = Reading::Lost;
    strike(connection)
}

/// Who asks again was answered: by bytes that were lost.
#[cold]
#[inline(never)]
fn was_answered(connection: &mut Connection) {
    connection.waiting.drain().for_each(drop);
    connection.is_unsure = false;
}

/// Bytes of a body of which `left` are to come: how many are done with, if it does not end among these.
pub(crate) fn body(left: &mut u64, there: usize) -> Option<usize> {
    if *left <= there as u64 {
        return None;
    }
    // More at once than Wasm can count would not go by.
    let asked = (*left).min(1 << 30).max(there as u64);
    *left -= asked;
    Some(asked as usize)
}

/// A message that is none, on a connection that never had one, three times.
pub(crate) fn strike(connection: &mut Connection) -> Result<(), Foreign> {
    connection.strikes = connection.strikes.saturating_add(1);
    if connection.strikes >= STRIKES && !connection.is_met { Err(Foreign::Whole) } else { Ok(()) }
}

/// How the body of a request ends.
fn framing(connection: &mut Connection, head: &RequestHead<'_>) -> Reading {
    if head.fields.is_chunked {
        return Reading::Chunks(Default::default());
    }
    let size = head.fields.content_length.unwrap_or(0);
    if size == 0 {
        return Reading::Head;
    }
    if let Some(request) = connection.waiting.back_mut() {
        request.size = size;
    }
    Reading::Body(size)
}
