//! The attributes of a command's row, and its metrics.

use plugin_sdk::conversation::{Kind, Sheet};
use plugin_sdk::{FieldUse, Signal};

use crate::vocabulary::{Code, Name};

/// One command and its reply: the protocol's part of a row.
#[derive(Debug, Default, Clone, Copy)]
pub struct Exchange {
    pub(crate) name: Name,
    pub(crate) code: Code,
    pub(crate) keys: u16,
    pub(crate) values: u32,
}

/// The attributes and metrics of a row.
pub(crate) fn sheet() -> Sheet<Exchange> {
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
