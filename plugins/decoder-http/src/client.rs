//! Handles the client's bytes: requests.

use plugin_sdk::conversation::{Began, Data, Emit, Foreign, Sender};

use crate::chunks::Step;
use crate::connection::{Body, Connection, Position, count_unreadable, take_body};
use crate::head::{Parsed, RequestHead, parse_request};
use crate::matching::close_answered;
use crate::recognise::HTTP2;
use crate::waiting::Request;
use crate::{Exchange, Http};

impl Http {
    /// Reads requests; returns how many bytes are consumed.
    pub(crate) fn read_requests(
        &mut self,
        connection: &mut Connection,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len().saturating_add(data.missing as usize);
        let mut at = 0;
        let mut met = 0;
        while let Some(bytes) = data.bytes.get(at..).filter(|bytes| !bytes.is_empty()) {
            if connection.body != Body::Begun && !decide_body(connection, bytes, data) {
                return Ok(at);
            }
            match &mut connection.client {
                Position::Tunnel => return Ok(usize::MAX),
                Position::Body(left) => match take_body(left, bytes.len()) {
                    Some(asked) => return Ok(at + asked),
                    None => {
                        at += *left as usize;
                        connection.client = Position::Head;
                    }
                },
                Position::Chunks(chunks) => {
                    let mut size = 0;
                    let step = chunks.advance(bytes, &mut size);
                    if let Some(request) = connection.waiting.back_mut() {
                        request.size = request.size.saturating_add(size);
                    }
                    match step {
                        Step::Continue(done) => return Ok(at + done),
                        Step::End(done) => {
                            at += done;
                            connection.client = Position::Head;
                        }
                        Step::Malformed => connection.lose_position(Sender::Client),
                    }
                }
                Position::Lost | Position::Endless if at > 0 || !data.call_start => return Ok(all),
                Position::Head | Position::Lost | Position::Endless => {
                    // An empty line before a request is accepted (RFC 9112, 2.2).
                    if let [b'\r' | b'\n', ..] = bytes {
                        at += 1;
                        continue;
                    }
                    let began = data.began(at);
                    match parse_request(bytes) {
                        Parsed::Complete(head, len) => {
                            met += 1;
                            connection.is_pipelined |= met > 1;
                            self.handle_request(connection, began, &head, rows);
                            connection.client = body_position(connection, &head);
                            at += len;
                            if at == data.bytes.len() && connection.client != Position::Head {
                                let is_asked_for = expects_continue(bytes.get(..len).unwrap_or_default());
                                connection.body = Body::Due { is_asked_for };
                            }
                        }
                        Parsed::Partial(_) | Parsed::TooShort if data.missing == 0 => return Ok(at),
                        Parsed::Partial(head) => {
                            self.handle_partial_request(connection, began, &head, rows);
                            return Ok(all);
                        }
                        Parsed::TooShort | Parsed::Other => return handle_no_request(connection, (bytes, at)).map(|()| all),
                    }
                }
            }
        }
        Ok(at)
    }

    /// Handles a request.
    #[inline(always)]
    fn handle_request(
        &mut self,
        connection: &mut Connection,
        began: Began,
        head: &RequestHead<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) {
        let request = Request::new(began, head, std::mem::take(&mut connection.spare_buffer));
        connection.is_confirmed = true;
        connection.unreadable = 0;
        if !connection.is_pipelined {
            if matches!(connection.server, Position::Lost | Position::Endless) && connection.response.is_some() {
                self.finish_unseen_response(connection, rows);
            }
            if connection.has_lost_responses {
                close_answered(connection);
            }
        }
        if connection.early.is_empty() {
            self.add_request(connection, request, rows);
        } else {
            self.match_early(connection, request, rows);
        }
    }

    /// Handles a request of which only the first part of the head was captured.
    #[cold]
    #[inline(never)]
    fn handle_partial_request(
        &mut self,
        connection: &mut Connection,
        began: Began,
        head: &RequestHead<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) {
        self.handle_request(connection, began, head, rows);
        connection.client = Position::Lost;
    }
}

/// Decides whether bytes of the client behind a head that announced a body are the body. If the server has answered, they may be the next
/// request instead. Returns false if there are too few bytes to decide.
#[cold]
#[inline(never)]
fn decide_body(connection: &mut Connection, bytes: &[u8], data: &Data<'_>) -> bool {
    if connection.body == Body::Doubtful {
        // The next request may begin with an empty line.
        let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        match parse_request(bytes.get(begin..).unwrap_or_default()) {
            Parsed::Complete(..) => connection.client = Position::Head,
            Parsed::Partial(_) if data.missing > 0 => connection.client = Position::Head,
            Parsed::Partial(_) | Parsed::TooShort if data.missing == 0 => return false,
            _ => {}
        }
    }
    connection.body = Body::Begun;
    true
}

/// Whether the head of a request has `Expect: 100-continue`.
#[cold]
#[inline(never)]
fn expects_continue(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"expect:";
    head.split(|&byte| byte == b'\n').any(|line| line.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD)))
}

/// Handles bytes that are not a request.
#[cold]
#[inline(never)]
fn handle_no_request(connection: &mut Connection, (bytes, at): (&[u8], usize)) -> Result<(), Foreign> {
    if bytes.starts_with(HTTP2) {
        // The record of the server's 101 response came later than the bytes that the client sent after it.
        return Err(if connection.is_confirmed { Foreign::Behind(at) } else { Foreign::Whole });
    }
    connection.client = Position::Lost;
    count_unreadable(connection)
}

/// Returns the position behind the head of a request: in its body, if it has one.
fn body_position(connection: &mut Connection, head: &RequestHead<'_>) -> Position {
    if head.fields.is_chunked {
        return Position::Chunks(Default::default());
    }
    let size = head.fields.content_length.unwrap_or(0);
    if size == 0 {
        return Position::Head;
    }
    if let Some(request) = connection.waiting.back_mut() {
        request.size = size;
    }
    Position::Body(size)
}
