//! The attributes of a statement's row, and its metrics.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Kind, RowRef, Sheet};
use plugin_sdk::{FieldUse, Signal};

use crate::statement::Statement;

/// One execution and its response: the part of a row that decoders of SQL databases share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// `db.system.name`
    pub system: &'static str,
    /// The statement; None if it was not seen, or was dropped.
    pub statement: Option<Rc<Statement>>,
    /// The database of the session; None if that was not seen.
    pub database: Option<Rc<str>>,
    /// The server's code of the error; None without an error.
    pub code: Option<Box<str>>,
    /// Number of rows that the server reports as returned; 0 also if it reports none.
    pub rows: u32,
    /// Number of answered statements, if it exceeds the number that were read.
    pub answered: u32,
    /// Number of bytes of the client that were not captured and may hold the statements of this row.
    pub unread: u32,
}

/// Returns the fields and metrics of such rows, by the semantic conventions for SQL databases. Decoders add only fields that are specific
/// to their protocol.
#[must_use]
pub fn sheet(event: &str) -> Sheet<Exchange> {
    let sheet = Sheet::<Exchange>::new(event, Signal::Span)
        .label("db.system.name", |exchange| exchange.system)
        .used(FieldUse::Dimension)
        .text("db.operation.name", |exchange, text| {
            let (batch, operation) =
                exchange.statement.as_ref().map(|statement| statement.operation_words()).unwrap_or_default();
            text.str(batch).str(operation);
        })
        .used(FieldUse::Dimension)
        .omit_zero()
        .text("db.collection.name", |exchange, text| {
            text.str(exchange.statement.as_ref().map_or("", |statement| &statement.collection));
        })
        .used(FieldUse::Dimension)
        .omit_zero()
        .text("db.namespace", |exchange, text| {
            text.str(exchange.database.as_deref().unwrap_or_default());
        })
        .used(FieldUse::Dimension)
        .omit_zero()
        .text("db.response.status_code", |exchange, text| {
            text.str(exchange.code.as_deref().unwrap_or_default());
        })
        .used(FieldUse::Dimension)
        .omit_zero();
    let sheet = sheet
        .text("db.query.summary", |exchange, text| {
            text.str(exchange.statement.as_ref().map_or("", |statement| &statement.summary));
        })
        .omit_zero()
        .text("db.query.text", |exchange, text| {
            text.str(exchange.statement.as_ref().map_or("", |statement| &statement.text));
        })
        .omit_zero()
        .u32("db.operation.batch.size", |exchange| {
            let statements = exchange.statement.as_ref().map_or(0, |statement| u32::from(statement.statements));
            let statements = statements.max(exchange.answered);
            if statements > 1 { statements } else { 0 }
        })
        .omit_zero()
        .u32("db.response.returned_rows", |exchange| exchange.rows)
        .unit("{row}")
        .omit_zero();
    sheet
        .histogram("db.client.operation.duration", "How long clients wait for statements.", "duration")
        .only_kind(Kind::Client)
        .histogram("db.server.operation.duration", "How long servers take for statements.", "duration")
        .only_kind(Kind::Server)
}

// === impl Exchange ===

impl Exchange {
    /// Emits the row, named after its summary, with its code as error.
    pub fn row<'a>(self, began: Began, ended_ns: u64, rows: &'a mut Emit<'_, Self>) -> RowRef<'a, Self> {
        let (statement, code, system) = (self.statement.clone(), self.code.clone(), self.system);
        let mut row = rows.row(began, ended_ns, self);
        let summary = statement.as_ref().map_or("", |statement| &*statement.summary);
        row.name(if summary.is_empty() { system } else { summary });
        if let Some(code) = code {
            row.error(&code);
        }
        row
    }
}
