//! The attributes and metrics of a statement's row, and how an answered statement becomes a row: those of all SQL databases,
//! [`sql::sheet`], and one more.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Sheet};
use sql::{Exchange, Statement};

use crate::connection::Connection;
use crate::waiting::{Request, Unread, Waiting};

/// `network.protocol.version`
pub(crate) const VERSION: &str = "3";

/// The attributes and metrics of a row.
pub(crate) fn sheet() -> Sheet<Exchange> {
    sql::sheet("postgresql.statement").u32("postgresql.unread_bytes", |exchange| exchange.unread).unit("By").omit_zero()
}

// === impl Connection ===

impl Connection {
    pub(crate) fn emit(&mut self, waiting: Waiting, ended_ns: u64, error: &str, rows: &mut Emit<'_, Exchange>) {
        let Waiting { began, request, statement, parent, rows: returned, code, is_emitted, done, .. } = waiting;
        self.modes.may_have_changed |= request.is_executed() && statement.as_ref().is_none_or(|statement| statement.may_set);
        if is_emitted {
            return;
        }
        match request {
            Request::Execute | Request::Query => {}
            // None of these is a statement; they have a row only if they failed.
            Request::Parse | Request::Sync if code.is_some() => {}
            Request::Unread(unread) => return self.emit_unread(began, &unread, ended_ns, rows),
            Request::Parse | Request::Sync | Request::CopyEnd => return,
        }
        let answered = if request == Request::Query { done } else { 0 };
        let exchange = Exchange { rows: returned, answered, ..self.exchange(statement, code) };
        let mut row = exchange.row(began, ended_ns, rows);
        row.protocol_version(VERSION);
        if !error.is_empty() {
            row.error(error);
        }
        if let Some(parent) = parent {
            row.trace_parent(parent.as_bytes());
        }
    }

    /// Emits the row of bytes that were not captured, if the server executed something in them, or may have.
    fn emit_unread(&self, began: Began, unread: &Unread, ended_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let is_answered = unread.answers > 0 || unread.code.is_some();
        if !(is_answered || self.server.has_gap && unread.bytes > 0) {
            return;
        }
        let operation = Some(unread.operation).filter(|operation| !operation.is_empty());
        let statement = operation.map(|operation| Rc::new(Statement::bare(operation)));
        let code = unread.code.clone();
        let exchange = Exchange { answered: unread.answers, unread: unread.bytes, ..self.exchange(statement, code) };
        exchange.row(began, ended_ns, rows).protocol_version(VERSION);
    }

    pub(crate) fn exchange(&self, statement: Option<Rc<Statement>>, code: Option<Box<str>>) -> Exchange {
        Exchange { system: "postgresql", statement, database: self.database.clone(), code, rows: 0, answered: 0, unread: 0 }
    }
}
