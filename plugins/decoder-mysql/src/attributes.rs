//! The attributes and metrics of a statement's row, and how an answered command becomes a row: those of all SQL databases, [`sql::sheet`].

use std::rc::Rc;

use plugin_sdk::conversation::{Emit, Sheet};
use sql::{Exchange, Statement};

use crate::connection::Connection;
use crate::vocabulary::PREPARE;
use crate::waiting::Waiting;

/// `network.protocol.version`: that of the greeting.
pub(crate) const VERSION: &str = "10";

/// The attributes and metrics of a row.
pub(crate) fn sheet() -> Sheet<Exchange> {
    sql::sheet("mysql.statement")
}

// === impl Connection ===

impl Connection {
    /// Emits the row of a command that is dropped because the queue is full.
    #[cold]
    pub(crate) fn emit_forgotten(&self, waiting: Waiting, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if !waiting.is_emitted && !waiting.began.is_given_up && waiting.command != PREPARE {
            let mut row = self.exchange(waiting.statement).row(waiting.began, time_ns, rows);
            row.forgotten().protocol_version(VERSION).trace_parent(waiting.parent.as_deref().unwrap_or_default().as_bytes());
        }
    }

    pub(crate) fn emit(&self, waiting: &mut Waiting, ended_ns: u64, rows: &mut Emit<'_, Exchange>) {
        // A prepared statement has a row only if preparing it failed.
        if waiting.is_emitted || (waiting.command == PREPARE && waiting.code.is_none()) {
            return;
        }
        let exchange = Exchange { rows: waiting.rows, code: waiting.code.take(), ..self.exchange(waiting.statement.take()) };
        let mut row = exchange.row(waiting.began, ended_ns, rows);
        row.protocol_version(VERSION);
        if let Some(parent) = &waiting.parent {
            row.trace_parent(parent.as_bytes());
        }
    }

    pub(crate) fn exchange(&self, statement: Option<Rc<Statement>>) -> Exchange {
        let system = if self.is_mariadb { "mariadb" } else { "mysql" };
        Exchange { system, statement, database: self.database.clone(), code: None, rows: 0, answered: 0, unread: 0 }
    }
}
