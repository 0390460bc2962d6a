//! What clients send.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Foreign};
use sql::{Exchange, Library, Operation};

use crate::command::{self, Answer};
use crate::modes::Change;
use crate::packet::{CLIENT_MYSQL, HEADER, Packet, SSL, changed_user, login, query};
use crate::session::{Session, Stage, Waiting};

/// A statement that comes in parts is waited for if it is no longer than this; of a longer one the first part will do.
const WAITED_FOR: usize = 4096;

/// Whether to wait for the rest of a packet.
pub(crate) fn is_waited_for(packet: &Packet<'_>) -> bool {
    // The number of a prepared statement stands in the first bytes.
    packet.length <= WAITED_FOR || packet.body.len() < 5
}

/// A packet of a client that is not let in yet, which begins at `at`. What follows may be encrypted.
pub(crate) fn enter(session: &mut Session, packet: &Packet<'_>, at: usize) -> Result<(), Foreign> {
    let Some(login) = login(packet.body).filter(|_| matches!(packet.number, 1 | 2)) else { return Ok(()) };
    if login.capabilities & SSL != 0 && packet.length == HEADER + 32 {
        return Err(Foreign::Behind(at + packet.length));
    }
    session.agreed = login.capabilities;
    session.modes.log_in(login.collation);
    // Only clients of MariaDB leave this out, and only to its servers.
    session.is_mariadb |= login.capabilities & CLIENT_MYSQL == 0;
    session.database = named(login.database);
    session.stage = Stage::Login;
    session.is_proven = true;
    Ok(())
}

/// A command.
pub(crate) fn command(
    session: &mut Session,
    library: &mut Library,
    packet: &Packet<'_>,
    began: Began,
    rows: &mut Emit<'_, Exchange>,
) {
    let Some((&code, body)) = packet.body.split_first() else { return };
    let Some(answer) = command::answer(code) else { return };
    session.close_answered(rows);
    let id = body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
    let mut waiting = Waiting::new(began, code);
    match code {
        command::QUERY | command::PREPARE => {
            let is_cut = packet.body.len() + HEADER < packet.length;
            let has_attributes = if code == command::QUERY { session.has_attributes() } else { Some(false) };
            let Some((sql, parent)) = query(body, has_attributes) else {
                waiting.statement = Some(library.bare(Operation::default()));
                waiting.change = Change::Unknown;
                return session.ask(waiting, rows);
            };
            let reading = library.read(sql, session.dialect(), is_cut);
            if code == command::PREPARE {
                session.prepare(Rc::clone(&reading.statement));
            } else {
                waiting.change = Change::of(sql, is_cut, reading.may_set || reading.statement.may_set);
                waiting.database = used(&reading.statement);
            }
            waiting.parent = reading.trace_parent.or(parent).map(Box::from);
            waiting.statement = Some(reading.statement);
        }
        command::EXECUTE | command::BULK_EXECUTE | command::FETCH => {
            waiting.statement = session.statement(id);
            waiting.change = Change::of_prepared(waiting.statement.as_deref());
        }
        command::CLOSE => session.close(id),
        command::INIT_DB => {
            waiting.database = named(body);
            waiting.statement = Some(library.bare(command::operation(code)));
        }
        command::CHANGE_USER => {
            let changed = changed_user(body);
            waiting.database = changed.and_then(|(database, _)| named(database));
            waiting.change = Change::to(changed.and_then(|(_, collation)| collation));
            waiting.is_new_session = true;
            waiting.is_told = true;
        }
        command::RESET => {
            waiting.change = Change::Reset;
            waiting.is_new_session = true;
            waiting.is_told = true;
        }
        _ => {
            let operation = command::operation(code);
            waiting.is_told = operation.is_empty();
            waiting.statement = Some(library.bare(operation));
        }
    }
    if answer != Answer::Nothing {
        session.ask(waiting, rows);
    }
}

/// The name of a database, if it has one.
fn named(name: &[u8]) -> Option<Rc<str>> {
    Some(String::from_utf8_lossy(name).into()).filter(|name: &Rc<str>| !name.is_empty())
}

/// The database that a statement makes that of the session.
fn used(statement: &sql::Statement) -> Option<Rc<str>> {
    let name = statement.text.get(3..).filter(|_| statement.operation.name() == "USE" && statement.statements == 1)?;
    named(name.trim_matches([' ', '`']).as_bytes()).filter(|name| &**name != "?")
}
