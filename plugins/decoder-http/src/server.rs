//! Handles the server's bytes: responses.

use plugin_sdk::conversation::{Data, Emit, Foreign, Sender};

use crate::chunks::Step;
use crate::connection::{Connection, Position, count_unreadable, take_body};
use crate::head::{Parsed, ResponseHead, parse_response};
use crate::matching::answered_before_end;
use crate::vocabulary::Method;
use crate::waiting::Response;
use crate::{Exchange, Http};

impl Http {
    /// Reads responses; returns how many bytes are consumed.
    pub(crate) fn read_responses(
        &mut self,
        connection: &mut Connection,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len().saturating_add(data.missing as usize);
        let mut at = 0;
        while let Some(bytes) = data.bytes.get(at..).filter(|bytes| !bytes.is_empty()) {
            match &mut connection.server {
                Position::Tunnel => return Ok(usize::MAX),
                Position::Body(left) => match take_body(left, bytes.len()) {
                    Some(asked) => return Ok(at + asked),
                    None => {
                        at += *left as usize;
                        self.complete_response(connection, data, rows);
                    }
                },
                Position::Chunks(chunks) => {
                    let mut size = 0;
                    let step = chunks.advance(bytes, &mut size);
                    if let Some(response) = &mut connection.response {
                        response.size = response.size.saturating_add(size);
                    }
                    connection.answered_ns = data.time_ns;
                    match step {
                        Step::Continue(done) => return Ok(at + done),
                        Step::End(done) => {
                            at += done;
                            self.complete_response(connection, data, rows);
                        }
                        Step::Malformed => connection.lose_position(Sender::Server),
                    }
                }
                Position::Endless => {
                    connection.answered_ns = data.time_ns;
                    return Ok(all);
                }
                Position::Lost if at > 0 || !data.call_start => {
                    connection.answered_ns = data.time_ns;
                    return Ok(all);
                }
                Position::Head | Position::Lost => match parse_response(bytes) {
                    Parsed::Complete(head, len) => {
                        self.handle_response(connection, &head, (at, at + len), data, rows)?;
                        at += len;
                    }
                    Parsed::Partial(_) | Parsed::TooShort if data.missing == 0 => return Ok(at),
                    Parsed::Partial(head) => return self.handle_partial_response(connection, &head, data, rows),
                    Parsed::TooShort | Parsed::Other => {
                        connection.answered_ns = data.time_ns;
                        return handle_no_response(connection).map(|()| all);
                    }
                },
            }
        }
        Ok(at)
    }

    /// Handles a response that begins; its head is from `start` up to `behind`.
    fn handle_response(
        &mut self,
        connection: &mut Connection,
        head: &ResponseHead<'_>,
        (start, behind): (usize, usize),
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<(), Foreign> {
        let is_first = connection.answered_ns == 0;
        self.begin_response(connection, rows);
        connection.server = Position::Head;
        if head.status / 100 == 1 && head.status != 101 {
            // An interim response: the final one follows.
            return Ok(());
        }
        let mut request = connection.waiting.pop();
        if matches!(connection.client, Position::Body(_) | Position::Chunks(_)) {
            answered_before_end(connection, request.as_mut());
        }
        let method = request.as_ref().map_or(Method::Get, |request| request.method);
        let fields = head.fields;
        let size = if fields.is_chunked { 0 } else { fields.content_length.unwrap_or(0) };
        connection.response = Some(Response { request, status: head.status, minor: fields.minor, size, ended_ns: 0 });
        // Time of its last bytes, including body bytes that cannot be read.
        connection.answered_ns = data.time_ns;
        let is_bodyless = method == Method::Head || matches!(head.status, 101 | 204 | 304);
        let is_tunnel = head.status == 101 || (method == Method::Connect && head.status / 100 == 2);
        if is_bodyless || is_tunnel {
            if let Some(response) = &mut connection.response {
                response.size = 0;
            }
            self.complete_response(connection, data, rows);
            if is_tunnel {
                (connection.client, connection.server) = (Position::Tunnel, Position::Tunnel);
            }
            return match (is_tunnel, method) {
                // HTTP/2 begins with the request for the upgrade, whose response is on stream 1. If other requests came before it, HTTP/2
                // begins behind the 101 response.
                (true, _) if fields.is_h2c && is_first => Err(Foreign::Whole),
                (true, _) if fields.is_h2c => Err(Foreign::Behind(start)),
                // A tunnel may carry any protocol, also HTTP.
                (true, Method::Connect) => Err(Foreign::Behind(behind)),
                // No decoder reads the bytes behind the 101 response of a WebSocket.
                _ => Ok(()),
            };
        }
        match (fields.is_chunked, fields.content_length) {
            (true, _) => connection.server = Position::Chunks(Default::default()),
            (false, Some(0)) => self.complete_response(connection, data, rows),
            (false, Some(size)) => connection.server = Position::Body(size),
            (false, None) => connection.server = Position::Endless,
        }
        Ok(())
    }

    /// Handles a response whose captured bytes end within its head.
    #[cold]
    #[inline(never)]
    fn handle_partial_response(
        &mut self,
        connection: &mut Connection,
        head: &ResponseHead<'_>,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len().saturating_add(data.missing as usize);
        self.handle_response(connection, head, (0, all), data, rows)?;
        connection.answered_ns = data.time_ns;
        if connection.response.is_some() {
            let is_there = |size: u64| size <= u64::from(data.missing);
            let is_complete = !head.fields.is_chunked && head.fields.content_length.is_some_and(is_there);
            connection.server = Position::Lost;
            if is_complete {
                // Head and body fit into this call, and mostly they come together.
                self.finish_response(connection, rows);
            }
        }
        Ok(all)
    }
}

/// Handles bytes that are not a response.
#[cold]
#[inline(never)]
fn handle_no_response(connection: &mut Connection) -> Result<(), Foreign> {
    if connection.server == Position::Head {
        connection.server = Position::Lost;
        return count_unreadable(connection);
    }
    Ok(())
}
