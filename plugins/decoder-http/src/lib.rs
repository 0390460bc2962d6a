//! Decoder of protocol `http`: HTTP/1.0 and HTTP/1.1, a span for every request.

mod chunks;
mod client;
mod connection;
mod exchange;
mod head;
mod method;
mod server;

pub use connection::Connection;
pub use exchange::Exchange;

use plugin_sdk::Config;
use plugin_sdk::conversation::{
    Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Routes, Sender, Sheet, Signature, Transport,
};
use serde::Deserialize;

use connection::{Body, Reading, Unread};
use head::Parsed;

/// The protocol.
pub struct Http {
    routes: Routes,
}

/// The settings of its own.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Routes in which `{x}` stands for a segment, and `*` at the end for all that follows.
    routes: Vec<String>,
}

/// Messages in a row that are none, of a connection that never had one: it speaks something else.
const STRIKES: u8 = 3;

/// A response that was lost sight of is over when the server was silent for so long.
const SILENCE_NS: u64 = 1_000_000_000;

/// What a client of HTTP/2 begins with.
const HTTP2: &[u8] = b"PRI * HTTP/2.0";

/// Requests to be sure of. `OPTIONS * ` and absolute targets are asked about.
const REQUESTS: [&str; 7] = ["GET /", "POST /", "PUT /", "HEAD /", "DELETE /", "PATCH /", "OPTIONS /"];

// === impl Http ===

impl Protocol for Http {
    const STATE_VERSION: u16 = 2;

    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        let mut description = Description::new("http").capture_bytes(512);
        for port in [80, 8080, 8000, 443, 8443, 3000, 5000] {
            description = description.on_port(port);
        }
        for request in REQUESTS {
            description = description.signature(Signature::client(request.as_bytes()).tcp().certain());
        }
        description
            .signature(Signature::server(b"HTTP/1.0 ").tcp().certain())
            .signature(Signature::server(b"HTTP/1.1 ").tcp().certain())
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        let settings: Settings = config.parse()?;
        Ok(Self { routes: Routes::new(settings.routes)? })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        exchange::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        if beginning.transport == Transport::Udp || beginning.payload.starts_with(HTTP2) {
            return Opinion::No;
        }
        match (head::request(beginning.payload), head::response(beginning.payload)) {
            (Parsed::Whole(..) | Parsed::Part(_), _) => Opinion::FromClient,
            (_, Parsed::Whole(..) | Parsed::Part(_)) => Opinion::FromServer,
            (Parsed::Little, _) | (_, Parsed::Little) => Opinion::Unsure,
            _ => Opinion::No,
        }
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        match data.sender {
            Sender::Client => self.requests(connection, data, rows),
            Sender::Server => self.responses(connection, data, rows),
        }
    }

    fn gone_by(&mut self, connection: &mut Connection, sender: Sender, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let reading = match sender {
            Sender::Client => &mut connection.client,
            Sender::Server => &mut connection.server,
        };
        match reading {
            Reading::Body(0) => *reading = Reading::Head,
            Reading::Chunks(chunks) => return chunks.gone_by(),
            _ => return,
        }
        if sender == Sender::Server {
            connection.answered_ns = time_ns;
            self.finish(connection, rows);
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
            self.finish(connection, rows);
        }
        unread.is_known()
    }

    fn gap(&mut self, connection: &mut Connection, sender: Sender, _: &mut Emit<'_, Exchange>) {
        connection.lose(sender);
        connection.early.clear();
        if sender == Sender::Client {
            connection.body = Body::Begun;
        }
        connection.is_unsure |= sender == Sender::Server && connection.answer.is_none();
        if sender == Sender::Client && connection.is_pipelined {
            // Which response is whose is known again when all have come.
            connection.waiting.drain().for_each(drop);
        }
    }

    fn end(&mut self, connection: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        let Connection { answer, waiting, server, answered_ns, is_unsure, .. } = connection;
        let is_silent = why.time_ns().saturating_sub(*answered_ns) > SILENCE_NS;
        let is_over =
            |answer: &connection::Answer| why.is_final() || answer.request.is_none() || (*server == Reading::Lost && is_silent);
        if answer.as_ref().is_some_and(is_over) {
            if matches!(server, Reading::Body(_) | Reading::Chunks(_)) {
                // It was still coming.
                *answered_ns = why.time_ns();
            }
            self.finish(connection, rows);
            return self.end(connection, why, rows);
        }
        let (routes, is_unsure) = (&mut self.routes, *is_unsure);
        if let Some(answer) = answer
            && let Some(request) = answer.request.as_ref().filter(|request| why.gives_up(request.began))
        {
            exchange::stalled((request, answer), why, routes, rows);
            answer.request.iter_mut().for_each(|request| request.began.is_given_up = true);
        }
        waiting.give_up(
            why,
            |request| &mut request.began,
            // One whose response may be among the bytes that were lost is not told of.
            |request| {
                if !is_unsure {
                    exchange::unanswered(request, why, routes, rows);
                }
            },
        );
    }
}

plugin_sdk::export!(protocol: Http);
