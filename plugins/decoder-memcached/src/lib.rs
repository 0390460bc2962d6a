//! Decoder of memcached: every command, as text or binary, with its reply.

// The bytes that the client sends, and those that the server sends.
mod vocabulary;
mod line;
mod binary;
mod request;
mod reply;

// How connections are recognised.
mod recognise;

// The fields of a row.
mod attributes;

// Commands, and their replies.
mod waiting;
mod connection;
mod matching;

pub use attributes::Exchange;
pub use connection::Connection;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Sender, Sheet};

/// The protocol.
pub struct Memcached;

impl Protocol for Memcached {
    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self)
    }

    fn sheet(&self) -> Sheet<Exchange> {
        attributes::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        match data.sender {
            Sender::Client => connection.read_commands(data, rows),
            Sender::Server => connection.read_replies(data, rows),
        }
    }

    fn weight(connection: &Connection) -> usize {
        connection.weight()
    }

    fn gap(&mut self, connection: &mut Connection, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        connection.handle_gap(sender, rows.time_ns());
    }

    fn end(&mut self, connection: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        connection.end(why, rows);
    }
}

plugin_sdk::export!(protocol: Memcached);
