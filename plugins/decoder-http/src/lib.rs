//! Decoder of protocol `http`: HTTP/1.0 and HTTP/1.1, a span for every request.

// The content of messages.
mod vocabulary;
mod head;
mod chunks;

// How connections are recognised.
mod recognise;

// The settings of an operator.
mod settings;

// Requests, and their responses.
mod waiting;
mod connection;
mod attributes;
mod matching;

// The bytes that each end sends.
mod client;
mod server;

pub use attributes::Exchange;
pub use connection::Connection;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Routes, Sender, Sheet};

use connection::{Body, Position, Unread};

/// The protocol.
pub struct Http {
    routes: Routes,
}

/// Silence of the server after which a response whose position is lost counts as complete.
const SILENCE_NS: u64 = 1_000_000_000;

// === impl Http ===

impl Protocol for Http {
    const STATE_VERSION: u16 = 2;

    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { routes: settings::routes(config)? })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        attributes::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        match data.sender {
            Sender::Client => self.read_requests(connection, data, rows),
            Sender::Server => self.read_responses(connection, data, rows),
        }
    }

    fn gone_by(&mut self, connection: &mut Connection, sender: Sender, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let position = match sender {
            Sender::Client => &mut connection.client,
            Sender::Server => &mut connection.server,
        };
        match position {
            Position::Body(0) => *position = Position::Head,
            Position::Chunks(chunks) => return chunks.gone_by(),
            _ => return,
        }
        if sender == Sender::Server {
            connection.answered_ns = time_ns;
            self.finish_response(connection, rows);
        }
    }

    fn unread(
        &mut self,
        connection: &mut Connection,
        sender: Sender,
        bytes: u64,
        time_ns: u64,
        rows: &mut Emit<'_, Exchange>,
    ) -> bool {
        if sender == Sender::Client {
            let is_body = connection.body != Body::Doubtful;
            connection.body = Body::Begun;
            return is_body && connection.client.unread(bytes).is_known();
        }
        connection.answered_ns = time_ns;
        let unread = connection.server.unread(bytes);
        if matches!(unread, Unread::Last | Unread::Beyond) {
            self.finish_response(connection, rows);
        }
        unread.is_known()
    }

    fn gap(&mut self, connection: &mut Connection, sender: Sender, _: &mut Emit<'_, Exchange>) {
        connection.lose_position(sender);
        connection.early.clear();
        if sender == Sender::Client {
            connection.body = Body::Begun;
        }
        connection.has_lost_responses |= sender == Sender::Server && connection.response.is_none();
        if sender == Sender::Client && connection.is_pipelined {
            // Responses can be matched with requests again once all of them have come.
            connection.waiting.drain().for_each(drop);
        }
    }

    fn end(&mut self, connection: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        let Connection { response, waiting, server, answered_ns, has_lost_responses, .. } = connection;
        let is_silent = why.time_ns().saturating_sub(*answered_ns) > SILENCE_NS;
        let is_over = |response: &waiting::Response| {
            why.is_final() || response.request.is_none() || (*server == Position::Lost && is_silent)
        };
        if response.as_ref().is_some_and(is_over) {
            if matches!(server, Position::Body(_) | Position::Chunks(_)) {
                // The response was still coming.
                *answered_ns = why.time_ns();
            }
            self.finish_response(connection, rows);
            return self.end(connection, why, rows);
        }
        let (routes, has_lost_responses) = (&mut self.routes, *has_lost_responses);
        if let Some(response) = response
            && let Some(request) = response.request.as_ref().filter(|request| why.gives_up(request.began))
        {
            attributes::emit_stalled((request, response), why, routes, rows);
            response.request.iter_mut().for_each(|request| request.began.is_given_up = true);
        }
        waiting.give_up(
            why,
            |request| &mut request.began,
            // A request whose response may be among the lost bytes has no row.
            |request| {
                if !has_lost_responses {
                    attributes::emit_unanswered(request, why, routes, rows);
                }
            },
        );
    }
}

plugin_sdk::export!(protocol: Http);
