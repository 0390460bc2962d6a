//! Decoder of the PostgreSQL protocol, version 3: every executed statement becomes a span.

// The content of messages.
pub mod message;
mod resync;

// How connections are recognised.
mod recognise;

// Requests, and their responses.
mod statements;
mod waiting;
mod connection;
mod attributes;
mod matching;

// The bytes that each end sends.
mod client;
mod server;

pub use connection::Connection;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Sender, Sheet};
use sql::{Exchange, Library};

use connection::Stage;
use message::{Framed, parse_message};

/// The protocol.
pub struct PostgreSql {
    library: Library,
}

/// Number of unreadable calls in a row after which a connection speaks another protocol.
const MAX_UNREADABLE: u8 = 8;

// === impl PostgreSql ===

impl Protocol for PostgreSql {
    const STATE_VERSION: u16 = 2;

    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self { library: Library::new() })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        attributes::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let sender = data.sender;
        let mut at = 0;
        match sender {
            Sender::Server => {
                connection.answered_ns = data.time_ns;
                connection.is_cut = data.missing > 0;
                if connection.stage == Stage::Asking {
                    at = server::handle_encryption_answer(connection, data.bytes.first().copied().unwrap_or_default())?;
                }
            }
            Sender::Client if connection.stage != Stage::Open => {
                at = client::handle_opening(connection, data)?;
                if connection.stage != Stage::Open {
                    return Ok(at);
                }
            }
            Sender::Client => {}
        }
        let done = self.read_messages(connection, (data, at), rows)?;
        // Number of missing bytes of the call that the messages already read claim.
        let claimed = done.saturating_sub(data.bytes.len()).min(data.missing as usize) as u32;
        if sender == Sender::Client && data.missing > claimed {
            connection.add_unread(data.began(0), data.missing - claimed, rows);
        }
        Ok(done)
    }

    fn weight(connection: &Connection) -> usize {
        connection.weight()
    }

    fn gap(&mut self, connection: &mut Connection, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        if sender == Sender::Server {
            let is_cut = std::mem::take(&mut connection.is_cut);
            connection.forget_modes(is_cut);
            if !is_cut {
                connection.close_asked_again(rows);
            }
            // Also for a call that could not be parsed: a client that sends its next request has read it.
            connection.answered_ns = rows.time_ns();
        }
        connection.lose_position(sender);
    }

    fn end(&mut self, connection: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        connection.give_up(why, rows);
    }
}

impl PostgreSql {
    /// Reads the messages from `at`; returns how many bytes are consumed.
    fn read_messages(
        &mut self,
        connection: &mut Connection,
        (data, mut at): (&Data<'_>, usize),
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let sender = data.sender;
        loop {
            let rest = data.bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(at);
            }
            if !connection.side(sender).is_synced {
                let Some(from) = resync::resync(sender, rest, data.missing) else {
                    if sender == Sender::Client {
                        connection.add_unread(data.began(at), rest.len() as u32, rows);
                    }
                    return connection.count_unreadable(sender, MAX_UNREADABLE).map(|()| data.bytes.len());
                };
                connection.side(sender).is_synced = true;
                at += from;
                continue;
            }
            let message = match parse_message(sender, rest) {
                Framed::Message(message) => message,
                Framed::Short => return Ok(at),
                Framed::Broken => {
                    if sender == Sender::Server {
                        connection.forget_modes(false);
                    }
                    connection.lose_position(sender);
                    return connection.count_unreadable(sender, MAX_UNREADABLE).map(|()| data.bytes.len());
                }
            };
            let is_torn = message.body.len() + 5 < message.length && data.missing == 0;
            let needs_whole = match sender {
                Sender::Client => client::needs_whole(&message),
                Sender::Server => server::needs_whole(&message),
            };
            if is_torn && needs_whole {
                return Ok(at);
            }
            connection.is_confirmed = true;
            match sender {
                Sender::Client => client::handle_message(connection, &mut self.library, &message, (data, at), rows),
                Sender::Server => server::handle_message(connection, &message, data, rows),
            }
            at += message.length;
        }
    }
}

plugin_sdk::export!(protocol: PostgreSql);
