//! The attributes of a command's row, and its metrics.

use plugin_sdk::conversation::{Kind, Sheet};
use plugin_sdk::{FieldUse, Signal, Text};

use crate::vocabulary::{Code, Name};

/// One command and its reply: the protocol's part of a row.
#[derive(Debug, Default, Clone, Copy)]
pub struct Exchange {
    pub(crate) name: Name,
    pub(crate) database: u16,
    /// Number of arguments behind the name.
    pub(crate) arguments: u32,
    /// Number of commands that an `EXEC` ran.
    pub(crate) batch: u32,
    pub(crate) code: Code,
}

/// Maximum number of arguments that `db.query.text` shows as `?`.
const ARGUMENTS_SHOWN: u32 = 8;

/// The attributes and metrics of a row.
pub(crate) fn sheet() -> Sheet<Exchange> {
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
        .text("db.query.text", write_query)
        .u32("db.operation.batch.size", |command| if command.batch > 1 { command.batch } else { 0 })
        .omit_zero()
        .histogram("db.client.operation.duration", "How long commands take, as clients see it.", "duration")
        .only_kind(Kind::Client)
        .histogram("db.server.operation.duration", "How long commands take, as servers see it.", "duration")
        .only_kind(Kind::Server)
}

/// Writes the command as typed, with `?` for each argument: `SET ? ?`.
fn write_query(command: &Exchange, text: &mut Text) {
    text.str(command.name.text());
    for _ in 0..command.arguments.min(ARGUMENTS_SHOWN) {
        text.str(" ?");
    }
    if command.arguments > ARGUMENTS_SHOWN {
        text.str(" ...");
    }
}
