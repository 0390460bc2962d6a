//! Decoder of memcached: every command, as text or binary, with the reply that belongs to it.

// What the client sends, what the server sends.
mod words;
mod line;
mod binary;
mod request;
mod reply;

// What belongs together.
mod pairs;

// How it is told that it is memcached.
mod beginning;

pub use pairs::{Connection, Exchange};

use plugin_sdk::conversation::{
    Beginning, Data, Description, Emit, Ending, Foreign, Kind, Opinion, Protocol, Sender, Sheet, Signature,
};
use plugin_sdk::{Config, FieldUse, Signal};

/// The protocol.
pub struct Memcached;

/// What is worth capturing of a call: a `get` of many keys, or the heads of some values.
const CAPTURE_BYTES: u32 = 2048;

impl Protocol for Memcached {
    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        const PORT: u16 = 11211;
        let client = |bytes: &[u8]| Signature::client(bytes).tcp();
        let server = |bytes: &[u8]| Signature::server(bytes).tcp();
        let words = [b"get ".as_slice(), b"gets ", b"set ", b"add ", b"cas ", b"mg ", b"ms ", b"delete ", b"incr ", b"gat "];
        let words = words.into_iter().map(client);
        let answers = [b"VALUE ".as_slice(), b"STORED\r\n", b"NOT_FOUND\r\n", b"DELETED\r\n"].into_iter().map(server);
        let binary = [client(&[binary::REQUEST]).on_port(PORT), server(&[binary::RESPONSE]).on_port(PORT)];
        let description = Description::new("memcached").on_port(PORT).capture_bytes(CAPTURE_BYTES);
        words.chain(answers).chain(binary).fold(description, Description::signature)
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self)
    }

    fn sheet(&self) -> Sheet<Exchange> {
        Sheet::<Exchange>::new("memcached.command", Signal::Span)
            .name(|command, _, text| {
                text.str(command.name.text());
            })
            .label("db.system.name", |_| "memcached")
            .used(FieldUse::Dimension)
            .label("db.operation.name", |command| command.name.text())
            .used(FieldUse::Dimension)
            .label("db.response.status_code", |command| command.code.text())
            .used(FieldUse::Dimension)
            .omit_zero()
            .u32("db.response.returned_rows", |command| command.values)
            .omit_zero()
            .u32("db.operation.batch.size", |command| if command.keys > 1 { u32::from(command.keys) } else { 0 })
            .omit_zero()
            .histogram("db.client.operation.duration", "How long commands take, as clients see it.", "duration")
            .only_kind(Kind::Client)
            .histogram("db.server.operation.duration", "How long commands take, as servers see it.", "duration")
            .only_kind(Kind::Server)
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        beginning::recognise(beginning)
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        match data.sender {
            Sender::Client => connection.commands(data, rows),
            Sender::Server => connection.answers(data, rows),
        }
    }

    fn weight(connection: &Connection) -> usize {
        connection.weight()
    }

    fn gap(&mut self, connection: &mut Connection, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        connection.miss(sender, rows.time_ns());
    }

    fn end(&mut self, connection: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        connection.end(why, rows);
    }
}

plugin_sdk::export!(protocol: Memcached);
