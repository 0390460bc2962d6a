//! What servers send: responses.

use plugin_sdk::conversation::{Data, Emit, Foreign, Kind, Sender};

use crate::chunks::Step;
use crate::client::{body, strike};
use crate::connection::{Answer, Body, Connection, Reading, Request};
use crate::head::{Parsed, ResponseHead, response};
use crate::method::Method;
use crate::{Exchange, Http};

/// Responses that may come before their requests are seen.
const EARLY: usize = 4;

impl Http {
    /// Reads responses; how many bytes are done with.
    pub(crate) fn responses(
        &mut self,
        connection: &mut Connection,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len().saturating_add(data.missing as usize);
        let mut at = 0;
        while let Some(bytes) = data.bytes.get(at..).filter(|bytes| !bytes.is_empty()) {
            match &mut connection.server {
                Reading::Tunnel => return Ok(usize::MAX),
                Reading::Body(left) => match body(left, bytes.len()) {
                    Some(asked) => return Ok(at + asked),
                    None => {
                        at += *left as usize;
                        self.complete(connection, data, rows);
                    }
                },
                Reading::Chunks(chunks) => {
                    let mut size = 0;
                    let step = chunks.step(bytes, &mut size);
                    if let Some(answer) = &mut connection.answer {
                        answer.size = answer.size.saturating_add(size);
                    }
                    connection.answered_ns = data.time_ns;
                    match step {
                        Step::On(done) => return Ok(at + done),
                        Step::End(done) => {
                            at += done;
                            self.complete(connection, data, rows);
                        }
                        Step::No => connection.lose(Sender::Server),
                    }
                }
                Reading::Endless => {
                    connection.answered_ns = data.time_ns;
                    return Ok(all);
                }
                Reading::Lost if at > 0 || !data.call_start => {
                    connection.answered_ns = data.time_ns;
                    return Ok(all);
                }
                Reading::Head | Reading::Lost => match response(bytes) {
                    Parsed::Whole(head, len) => {
                        self.response(connection, &head, (at, at + len), data, rows)?;
                        at += len;
                    }
                    Parsed::Part(_) | Parsed::Little if data.missing == 0 => return Ok(at),
                    Parsed::Part(head) => return self.part(connection, &head, data, rows),
                    Parsed::Little | Parsed::No => {
                        connection.answered_ns = data.time_ns;
                        return no_response(connection).map(|()| all);
                    }
                },
            }
        }
        Ok(at)
    }

    /// A response begins, whose head is from `start` up to `behind`.
    fn response(
        &mut self,
        connection: &mut Connection,
        head: &ResponseHead<'_>,
        (start, behind): (usize, usize),
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<(), Foreign> {
        let is_first = connection.answered_ns == 0;
        self.meet(connection, rows);
        connection.server = Reading::Head;
        if head.status / 100 == 1 && head.status != 101 {
            // The response itself is still to come.
            return Ok(());
        }
        let mut request = connection.waiting.pop();
        if matches!(connection.client, Reading::Body(_) | Reading::Chunks(_)) {
            answered_before_end(connection, request.as_mut());
        }
        let method = request.as_ref().map_or(Method::Get, |request| request.method);
        let fields = head.fields;
        let size = if fields.is_chunked { 0 } else { fields.content_length.unwrap_or(0) };
        connection.answer = Some(Answer { request, status: head.status, minor: fields.minor, size, ended_ns: 0 });
        // So far it has come, and as much of its body as nobody can read.
        connection.answered_ns = data.time_ns;
        let is_bodyless = method == Method::Head || matches!(head.status, 101 | 204 | 304);
        let is_tunnel = head.status == 101 || (method == Method::Connect && head.status / 100 == 2);
        if is_bodyless || is_tunnel {
            if let Some(answer) = &mut connection.answer {
                answer.size = 0;
            }
            self.complete(connection, data, rows);
            if is_tunnel {
                (connection.client, connection.server) = (Reading::Tunnel, Reading::Tunnel);
            }
            return match (is_tunnel, method) {
                // HTTP/2 begins with the request that asked for it: its answer is on stream 1. If others came before it, then with
                // the consent.
                (true, _) if fields.is_h2c && is_first => Err(Foreign::Whole),
                (true, _) if fields.is_h2c => Err(Foreign::Behind(start)),
                // What goes through a tunnel may be anything, HTTP among it.
                (true, Method::Connect) => Err(Foreign::Behind(behind)),
                // What follows a WebSocket's consent is nobody's.
                _ => Ok(()),
            };
        }
        match (fields.is_chunked, fields.content_length) {
            (true, _) => connection.server = Reading::Chunks(Default::default()),
            (false, Some(0)) => self.complete(connection, data, rows),
            (false, Some(size)) => connection.server = Reading::Body(size),
            (false, None) => connection.server = Reading::Endless,
        }
        Ok(())
    }

    /// A response begins, and what was captured ends within its head.
    #[cold]
    #[inline(never)]
    fn part(
        &mut self,
        connection: &mut Connection,
        head: &ResponseHead<'_>,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len().saturating_add(data.missing as usize);
        self.response(connection, head, (0, all), data, rows)?;
        connection.answered_ns = data.time_ns;
        if connection.answer.is_some() {
            let is_there = |size: u64| size <= u64::from(data.missing);
            let is_complete = !head.fields.is_chunked && head.fields.content_length.is_some_and(is_there);
            connection.server = Reading::Lost;
            if is_complete {
                // Head and body fit into this call, and mostly they come together.
                self.finish(connection, rows);
            }
        }
        Ok(all)
    }

    /// Before a response begins: what is known of those before it.
    fn meet(&mut self, connection: &mut Connection, rows: &mut Emit<'_, Exchange>) {
        connection.strikes = 0;
        self.finish(connection, rows);
        if connection.is_unsure {
            sure(connection);
        }
    }

    /// The last byte of a response was among these.
    fn complete(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        connection.server = Reading::Head;
        connection.answered_ns = data.time_ns;
        self.finish(connection, rows);
    }

    /// What is known of the response under way is all that will be.
    #[inline(always)]
    pub(crate) fn finish(&mut self, connection: &mut Connection, rows: &mut Emit<'_, Exchange>) {
        let Some(mut answer) = connection.answer.take() else { return };
        answer.ended_ns = connection.answered_ns;
        if answer.request.is_some() {
            connection.room = crate::exchange::answered(answer, &mut self.routes, rows);
        } else {
            early(connection, answer, rows.kind());
        }
    }
}

/// A response begins before the end of the body of the last request.
#[cold]
#[inline(never)]
fn answered_before_end(connection: &mut Connection, request: Option<&mut Request>) {
    if !connection.waiting.is_empty() {
        return;
    }
    let is_left_out = connection.body == Body::Due { is_asked_for: true };
    if let Some(request) = request
        && (is_left_out || matches!(connection.client, Reading::Chunks(_)))
    {
        // Nothing of it came, or not all of its chunks.
        request.size = 0;
    }
    if connection.body != Body::Begun {
        connection.body = Body::Doubtful;
    }
}

/// A response whose request was not seen: it may still be.
#[cold]
#[inline(never)]
fn early(connection: &mut Connection, answer: Answer, kind: Kind) {
    if kind == Kind::Client && connection.is_met && connection.early.len() < EARLY {
        connection.early.push(answer);
    }
}

/// A response begins, so that it is known again which are still to come.
#[cold]
#[inline(never)]
fn sure(connection: &mut Connection) {
    if !connection.is_pipelined {
        // All but the last were answered by bytes that were lost.
        while connection.waiting.len() > 1 && connection.waiting.pop().is_some() {}
    }
    connection.is_unsure = false;
}

/// This is no response.
#[cold]
#[inline(never)]
fn no_response(connection: &mut Connection) -> Result<(), Foreign> {
    if connection.server == Reading::Head {
        connection.server = Reading::Lost;
        return strike(connection);
    }
    Ok(())
}
