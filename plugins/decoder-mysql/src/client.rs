//! Handles the client's bytes: logins and commands.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Foreign};
use sql::{Exchange, Library, Operation};

use crate::connection::{Connection, Stage};
use crate::modes::Change;
use crate::packet::{CLIENT_MYSQL, HEADER, Packet, SSL, parse_changed_user, parse_login, parse_query};
use crate::vocabulary::{self, Answer};
use crate::waiting::Waiting;

/// Maximum length of a packet that is reassembled; of a longer one the first part is enough.
const MAX_REASSEMBLED: usize = 4096;

/// Whether to wait for the rest of a packet.
pub(crate) fn needs_whole(packet: &Packet<'_>) -> bool {
    // The number of a prepared statement is in the first bytes.
    packet.length <= MAX_REASSEMBLED || packet.body.len() < 5
}

/// Handles a packet at `at` of a client that is not logged in yet. The bytes behind it may be encrypted.
pub(crate) fn handle_login(connection: &mut Connection, packet: &Packet<'_>, at: usize) -> Result<(), Foreign> {
    let Some(login) = parse_login(packet.body).filter(|_| matches!(packet.number, 1 | 2)) else { return Ok(()) };
    if login.capabilities & SSL != 0 && packet.length == HEADER + 32 {
        return Err(Foreign::Behind(at + packet.length));
    }
    connection.agreed = login.capabilities;
    connection.modes.set_client_collation(login.collation);
    // Only clients of MariaDB omit this flag, and only to its servers.
    connection.is_mariadb |= login.capabilities & CLIENT_MYSQL == 0;
    connection.database = database_name(login.database);
    connection.stage = Stage::Login;
    connection.is_confirmed = true;
    Ok(())
}

/// Handles a command.
pub(crate) fn handle_command(
    connection: &mut Connection,
    library: &mut Library,
    packet: &Packet<'_>,
    began: Began,
    rows: &mut Emit<'_, Exchange>,
) {
    let Some((&code, body)) = packet.body.split_first() else { return };
    let Some(answer) = vocabulary::answer(code) else { return };
    connection.close_answered(rows);
    let id = body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
    let mut waiting = Waiting::new(began, code);
    match code {
        vocabulary::QUERY | vocabulary::PREPARE => {
            let is_cut = packet.body.len() + HEADER < packet.length;
            let has_attributes = if code == vocabulary::QUERY { connection.has_attributes() } else { Some(false) };
            let Some((sql, parent)) = parse_query(body, has_attributes) else {
                waiting.statement = Some(library.bare(Operation::default()));
                waiting.change = Change::Unknown;
                return connection.add_request(waiting, rows);
            };
            let reading = library.read(sql, connection.dialect(), is_cut);
            if code == vocabulary::PREPARE {
                connection.set_last_prepared(Rc::clone(&reading.statement));
            } else {
                waiting.change = Change::of(sql, is_cut, reading.may_set || reading.statement.may_set);
                waiting.database = used_database(&reading.statement);
            }
            waiting.parent = reading.trace_parent.or(parent).map(Box::from);
            waiting.statement = Some(reading.statement);
        }
        vocabulary::EXECUTE | vocabulary::BULK_EXECUTE | vocabulary::FETCH => {
            waiting.statement = connection.prepared_statement(id);
            waiting.change = Change::of_prepared(waiting.statement.as_deref());
        }
        vocabulary::CLOSE => connection.remove_prepared(id),
        vocabulary::INIT_DB => {
            waiting.database = database_name(body);
            waiting.statement = Some(library.bare(vocabulary::operation(code)));
        }
        vocabulary::CHANGE_USER => {
            let changed = parse_changed_user(body);
            waiting.database = changed.and_then(|(database, _)| database_name(database));
            waiting.change = Change::of_user(changed.and_then(|(_, collation)| collation));
            waiting.is_new_session = true;
            waiting.is_emitted = true;
        }
        vocabulary::RESET => {
            waiting.change = Change::Reset;
            waiting.is_new_session = true;
            waiting.is_emitted = true;
        }
        _ => {
            let operation = vocabulary::operation(code);
            waiting.is_emitted = operation.is_empty();
            waiting.statement = Some(library.bare(operation));
        }
    }
    if answer != Answer::Nothing {
        connection.add_request(waiting, rows);
    }
}

/// Returns the name of a database; None if it is empty.
fn database_name(name: &[u8]) -> Option<Rc<str>> {
    Some(String::from_utf8_lossy(name).into()).filter(|name: &Rc<str>| !name.is_empty())
}

/// Returns the database that a statement selects for the session.
fn used_database(statement: &sql::Statement) -> Option<Rc<str>> {
    let name = statement.text.get(3..).filter(|_| statement.operation.name() == "USE" && statement.statements == 1)?;
    database_name(name.trim_matches([' ', '`']).as_bytes()).filter(|name| &**name != "?")
}
