//! Decoder of Redis: every command, with the reply that belongs to it.

// What the client sends, what the server sends.
mod line;
mod vocabulary;
mod inline;
mod request;
mod code;
mod reply;

// What belongs together.
mod transaction;
mod pairs;

// How it is told that it is Redis.
mod beginning;

pub use pairs::{Connection, Exchange};

use plugin_sdk::conversation::{
    Beginning, Data, Description, Emit, Ending, Foreign, Kind, Opinion, Protocol, Sender, Sheet, Signature,
};
use plugin_sdk::{Config, FieldUse, Signal, Text};

use vocabulary::Vocabulary;

/// The protocol.
pub struct Redis {
    words: Vocabulary,
}

/// What is worth capturing of a call: pipelines are of many small commands, and what is not captured of them cannot be counted.
const CAPTURE_BYTES: u32 = 4096;
/// So many arguments are shown as such.
const ARGUMENTS_SHOWN: u32 = 8;

impl Protocol for Redis {
    const STATE_VERSION: u16 = 3;
    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        let client = |bytes: &[u8], mask: &[u8]| Signature::client(bytes).masked(mask).tcp();
        let server = |bytes: &[u8]| Signature::server(bytes).tcp();
        Description::new("redis")
            .on_port(6379)
            .on_port(6380)
            .on_port(26379)
            .capture_bytes(CAPTURE_BYTES)
            // `*`, and a digit but 0.
            .signature(client(b"*0", b"\xff\xf0"))
            .signature(server(b"+PONG\r\n"))
            .signature(server(b"+OK\r\n"))
            .signature(server(b"-NOAUTH "))
            .signature(server(b"-ERR "))
            .signature(server(b"$").on_port(6379))
            .signature(Signature::client(b"PING\r\n").tcp())
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self { words: Vocabulary::new() })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        Sheet::<Exchange>::new("redis.command", Signal::Span)
            .name(|command, _, text| {
                text.str(command.name.text());
            })
            .label("db.system.name", |_| "redis")
            .used(FieldUse::Dimension)
            .label("db.operation.name", |command| command.name.text())
            .used(FieldUse::Dimension)
            .text("db.namespace", |command, text| {
                text.number(u64::from(command.database));
            })
            .used(FieldUse::Dimension)
            .text("db.response.status_code", |command, text| {
                text.str(command.code.text());
            })
            .used(FieldUse::Dimension)
            .omit_zero()
            .text("db.query.text", query)
            .u32("db.operation.batch.size", |command| if command.batch > 1 { command.batch } else { 0 })
            .omit_zero()
            .histogram("db.client.operation.duration", "How long commands take, as clients see it.", "duration")
            .only_kind(Kind::Client)
            .histogram("db.server.operation.duration", "How long commands take, as servers see it.", "duration")
            .only_kind(Kind::Server)
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        beginning::recognise(&self.words, beginning)
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        match data.sender {
            Sender::Client => connection.commands(&self.words, data, rows),
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

/// The command as it would be typed, with `?` for each argument: `SET ? ?`.
fn query(command: &Exchange, text: &mut Text) {
    text.str(command.name.text());
    for _ in 0..command.arguments.min(ARGUMENTS_SHOWN) {
        text.str(" ?");
    }
    if command.arguments > ARGUMENTS_SHOWN {
        text.str(" ...");
    }
}

plugin_sdk::export!(protocol: Redis);
