//! Decoder of the protocol of MySQL and MariaDB: every statement that was executed becomes a span.

mod recognise;
pub mod packet;
mod command;
mod resync;
mod modes;
mod client;
mod server;
mod session;
mod systems;

pub use session::Session;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Sender, Sheet};
use sql::{Exchange, Library};

use packet::{FULL, HEADER, Packet, frame};
use session::{Place, Stage};
use systems::Systems;

/// The protocol.
pub struct MySql {
    library: Library,
    systems: Systems,
}

/// After so many calls of which nothing was ever understood it is something else.
const STRANGE: u8 = 8;

// === impl MySql ===

impl Protocol for MySql {
    const STATE_VERSION: u16 = 2;

    type Connection = Session;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self { library: Library::new(), systems: Systems::default() })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        sql::sheet("mysql.statement")
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, session: &mut Session, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let done = self.packets(session, data, rows)?;
        if data.sender == Sender::Server {
            session.hear_server();
        }
        Ok(done)
    }

    fn weight(session: &Session) -> usize {
        session.weight()
    }

    fn gap(&mut self, session: &mut Session, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        let is_cut = sender == Sender::Server && std::mem::take(&mut session.is_cut);
        session.forget_modes(sender, is_cut);
        if sender == Sender::Server && !is_cut {
            session.close_asked_again(rows);
        }
        if sender == Sender::Server {
            // Of a call that could not be read, too: who asks again has read it.
            session.answered_ns = rows.time_ns();
        }
        session.miss(sender);
    }

    fn end(&mut self, session: &mut Session, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        session.give_up(why, rows);
    }
}

impl MySql {
    /// The packets in these bytes; how many are done with.
    fn packets(&mut self, session: &mut Session, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let sender = data.sender;
        if sender == Sender::Server {
            session.answered_ns = data.time_ns;
            session.is_cut = data.missing > 0;
        }
        let mut at = 0;
        loop {
            let rest = data.bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(at);
            }
            if !session.side(sender).in_step {
                if sender == Sender::Client && session.in_file {
                    return Ok(data.bytes.len());
                }
                let Some(from) = resync::resync(sender, rest, data.missing) else {
                    return session.lose(sender, STRANGE).map(|()| data.bytes.len());
                };
                session.side(sender).in_step = true;
                at += from;
                continue;
            }
            let Some(packet) = frame(rest) else { return Ok(at) };
            let is_torn = packet.body.len() + HEADER < packet.length && data.missing == 0;
            let is_waited_for = match sender {
                Sender::Client => client::is_waited_for(&packet),
                Sender::Server => server::is_waited_for(&packet),
            };
            if is_torn && is_waited_for {
                return Ok(at);
            }
            if !session.expects(sender, &packet) {
                session.forget_modes(sender, false);
                session.miss(sender);
                return session.lose(sender, STRANGE).map(|()| data.bytes.len());
            }
            let is_of_file = sender == Sender::Client && session.is_of_file(&packet);
            let side = session.side(sender);
            side.number = packet.number;
            let went_on = std::mem::replace(&mut side.goes_on, packet.length == FULL + HEADER);
            at += packet.length;
            if is_of_file {
                session.take_file(&packet);
            } else if !went_on {
                self.packet(session, &packet, (data, at - packet.length), rows)?;
            } else if sender == Sender::Client {
                session.go_on(&packet, went_on);
            }
        }
    }

    fn packet(
        &mut self,
        session: &mut Session,
        packet: &Packet<'_>,
        (data, at): (&Data<'_>, usize),
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<(), Foreign> {
        if session.stage != Stage::Open {
            match data.sender {
                // A command: whatever was missed, the client is let in.
                Sender::Client if packet.number == 0 => {
                    if session.stage == Stage::New {
                        session.is_mariadb |= self.systems.is_mariadb(data.connection, data.server_port);
                    }
                    session.stage = Stage::Open;
                }
                Sender::Client => return self.enter(session, packet, (data, at)),
                Sender::Server => {
                    server::enter(session, packet, at)?;
                    if session.stage == Stage::Login && packet.number == 0 {
                        self.systems.greet(data.server_port, session.is_mariadb);
                    }
                    return Ok(());
                }
            }
        }
        session.is_proven = true;
        match data.sender {
            Sender::Client if packet.number == 0 => {
                session.in_file = false;
                client::command(session, &mut self.library, packet, data.began(at), rows);
            }
            Sender::Client => session.go_on(packet, false),
            Sender::Server => {
                let is_last = data.missing == 0 && at + packet.length == data.bytes.len();
                server::packet(session, packet, is_last, data.time_ns, rows);
            }
        }
        Ok(())
    }
}

impl MySql {
    /// A packet of a client that is not let in yet, as far as was seen.
    fn enter(&mut self, session: &mut Session, packet: &Packet<'_>, (data, at): (&Data<'_>, usize)) -> Result<(), Foreign> {
        let is_new = session.stage == Stage::New;
        client::enter(session, packet, at).inspect_err(|_| self.systems.encrypt(data.connection, session.is_mariadb))?;
        if is_new && session.stage == Stage::New {
            session.go_on(packet, false);
        } else if is_new {
            session.is_mariadb |= self.systems.is_mariadb(data.connection, data.server_port);
        }
        Ok(())
    }
}

impl Session {
    /// Whether a packet may stand here.
    fn expects(&self, sender: Sender, packet: &Packet<'_>) -> bool {
        let place = self.waiting.front().map(|waiting| waiting.place);
        match sender {
            _ if self.stage != Stage::Open => true,
            Sender::Client if self.is_of_file(packet) => true,
            Sender::Client if packet.number == 0 => packet.body.first().is_none_or(|code| command::answer(*code).is_some()),
            Sender::Client => true,
            // Within a result packets are counted on.
            Sender::Server if matches!(place, Some(Place::Columns(_) | Place::Line | Place::Rows)) => {
                packet.number == self.server.number.wrapping_add(1)
            }
            Sender::Server => true,
        }
    }
}

plugin_sdk::export!(protocol: MySql);
