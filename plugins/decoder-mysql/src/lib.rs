//! Decoder of the protocol of MySQL and MariaDB: every executed statement becomes a span.

// The content of messages.
mod vocabulary;
pub mod packet;
mod resync;

// How connections are recognised.
mod recognise;
mod mariadb;

// Commands, and their responses.
mod modes;
mod waiting;
mod connection;
mod attributes;
mod matching;

// The bytes that each end sends.
mod client;
mod server;

pub use connection::Connection;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Sender, Sheet};
use sql::{Exchange, Library};

use connection::Stage;
use mariadb::Servers;
use packet::{FULL, HEADER, Packet, parse_packet};
use waiting::AnswerState;

/// The protocol.
pub struct MySql {
    library: Library,
    servers: Servers,
}

/// Number of unreadable calls in a row after which a connection speaks another protocol.
const MAX_UNREADABLE: u8 = 8;

// === impl MySql ===

impl Protocol for MySql {
    const STATE_VERSION: u16 = 2;

    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self { library: Library::new(), servers: Servers::default() })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        attributes::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, connection: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let done = self.read_packets(connection, data, rows)?;
        if data.sender == Sender::Server {
            connection.note_server_call();
        }
        Ok(done)
    }

    fn weight(connection: &Connection) -> usize {
        connection.weight()
    }

    fn gap(&mut self, connection: &mut Connection, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        let is_cut = sender == Sender::Server && std::mem::take(&mut connection.is_cut);
        connection.forget_modes(sender, is_cut);
        if sender == Sender::Server && !is_cut {
            connection.close_asked_again(rows);
        }
        if sender == Sender::Server {
            // Also for a call that could not be parsed: a client that sends its next command has read it.
            connection.answered_ns = rows.time_ns();
        }
        connection.lose_position(sender);
    }

    fn end(&mut self, connection: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        connection.give_up(why, rows);
    }
}

impl MySql {
    /// Reads the packets in these bytes; returns how many bytes are consumed.
    fn read_packets(
        &mut self,
        connection: &mut Connection,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let sender = data.sender;
        if sender == Sender::Server {
            connection.answered_ns = data.time_ns;
            connection.is_cut = data.missing > 0;
        }
        let mut at = 0;
        loop {
            let rest = data.bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(at);
            }
            if !connection.side(sender).is_synced {
                if sender == Sender::Client && connection.in_file {
                    return Ok(data.bytes.len());
                }
                let Some(from) = resync::resync(sender, rest, data.missing) else {
                    return connection.count_unreadable(sender, MAX_UNREADABLE).map(|()| data.bytes.len());
                };
                connection.side(sender).is_synced = true;
                at += from;
                continue;
            }
            let Some(packet) = parse_packet(rest) else { return Ok(at) };
            let is_torn = packet.body.len() + HEADER < packet.length && data.missing == 0;
            let needs_whole = match sender {
                Sender::Client => client::needs_whole(&packet),
                Sender::Server => server::needs_whole(&packet),
            };
            if is_torn && needs_whole {
                return Ok(at);
            }
            if !connection.expects(sender, &packet) {
                connection.forget_modes(sender, false);
                connection.lose_position(sender);
                return connection.count_unreadable(sender, MAX_UNREADABLE).map(|()| data.bytes.len());
            }
            let is_of_file = sender == Sender::Client && connection.is_of_file(&packet);
            let side = connection.side(sender);
            side.number = packet.number;
            let went_on = std::mem::replace(&mut side.goes_on, packet.length == FULL + HEADER);
            at += packet.length;
            if is_of_file {
                connection.read_file_packet(&packet);
            } else if !went_on {
                self.handle_packet(connection, &packet, (data, at - packet.length), rows)?;
            } else if sender == Sender::Client {
                connection.continue_command(&packet, went_on);
            }
        }
    }

    fn handle_packet(
        &mut self,
        connection: &mut Connection,
        packet: &Packet<'_>,
        (data, at): (&Data<'_>, usize),
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<(), Foreign> {
        if connection.stage != Stage::Open {
            match data.sender {
                // A command: whatever was missed, the login was accepted.
                Sender::Client if packet.number == 0 => {
                    if connection.stage == Stage::New {
                        connection.is_mariadb |= self.servers.is_mariadb(data.connection, data.server_port);
                    }
                    connection.stage = Stage::Open;
                }
                Sender::Client => return self.handle_login(connection, packet, (data, at)),
                Sender::Server => {
                    server::handle_login_answer(connection, packet, at)?;
                    if connection.stage == Stage::Login && packet.number == 0 {
                        self.servers.record_greeting(data.server_port, connection.is_mariadb);
                    }
                    return Ok(());
                }
            }
        }
        connection.is_confirmed = true;
        match data.sender {
            Sender::Client if packet.number == 0 => {
                connection.in_file = false;
                client::handle_command(connection, &mut self.library, packet, data.began(at), rows);
            }
            Sender::Client => connection.continue_command(packet, false),
            Sender::Server => {
                let is_last = data.missing == 0 && at + packet.length == data.bytes.len();
                server::handle_packet(connection, packet, is_last, data.time_ns, rows);
            }
        }
        Ok(())
    }
}

impl MySql {
    /// Handles a packet of a client that, as far as was seen, is not logged in yet.
    fn handle_login(
        &mut self,
        connection: &mut Connection,
        packet: &Packet<'_>,
        (data, at): (&Data<'_>, usize),
    ) -> Result<(), Foreign> {
        let is_new = connection.stage == Stage::New;
        client::handle_login(connection, packet, at)
            .inspect_err(|_| self.servers.record_encryption(data.connection, connection.is_mariadb))?;
        if is_new && connection.stage == Stage::New {
            connection.continue_command(packet, false);
        } else if is_new {
            connection.is_mariadb |= self.servers.is_mariadb(data.connection, data.server_port);
        }
        Ok(())
    }
}

impl Connection {
    /// Whether a packet may occur here.
    fn expects(&self, sender: Sender, packet: &Packet<'_>) -> bool {
        let answer_state = self.waiting.front().map(|waiting| waiting.answer_state);
        match sender {
            _ if self.stage != Stage::Open => true,
            Sender::Client if self.is_of_file(packet) => true,
            Sender::Client if packet.number == 0 => packet.body.first().is_none_or(|code| vocabulary::answer(*code).is_some()),
            Sender::Client => true,
            // Within a result the packet numbers continue.
            Sender::Server if matches!(answer_state, Some(AnswerState::Columns(_) | AnswerState::Line | AnswerState::Rows)) => {
                packet.number == self.server.number.wrapping_add(1)
            }
            Sender::Server => true,
        }
    }
}

plugin_sdk::export!(protocol: MySql);
