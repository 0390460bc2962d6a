//! Decoder of the protocol of MySQL and MariaDB: every statement that was executed becomes a span.

mod recognise;
pub mod packet;
mod command;
mod resync;
mod client;
mod server;
mod session;

pub use session::Session;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Sender, Sheet};
use sql::{Exchange, Library};

use packet::{FULL, HEADER, Packet, frame};
use session::{Place, Stage};

/// The protocol.
pub struct MySql {
    library: Library,
}

/// After so many calls of which nothing was ever understood it is something else.
const STRANGE: u8 = 8;

// === impl MySql ===

impl Protocol for MySql {
    type Connection = Session;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self { library: Library::new() })
    }

    fn sheet(&self) -> Sheet<Exchange> {
        sql::sheet("mysql.statement")
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, session: &mut Session, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
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
                session.miss(sender);
                return session.lose(sender, STRANGE).map(|()| data.bytes.len());
            }
            let side = session.side(sender);
            side.number = packet.number;
            let went_on = std::mem::replace(&mut side.goes_on, packet.length == FULL + HEADER);
            // What goes on with a command counts: the answer has the number behind it.
            if !went_on || sender == Sender::Client {
                self.packet(session, &packet, (data, at), rows)?;
            }
            at += packet.length;
        }
    }

    fn weight(session: &Session) -> usize {
        session.weight()
    }

    fn gap(&mut self, session: &mut Session, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        if sender == Sender::Server && !std::mem::take(&mut session.is_cut) {
            session.close_asked_again(rows);
        }
        session.miss(sender);
    }

    fn end(&mut self, session: &mut Session, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        session.give_up(why, rows);
    }
}

impl MySql {
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
                Sender::Client if packet.number == 0 => session.stage = Stage::Open,
                Sender::Client => return client::enter(session, packet),
                Sender::Server => return server::enter(session, packet),
            }
        }
        session.is_proven = true;
        match data.sender {
            Sender::Client => client::packet(session, &mut self.library, packet, data.began(at), rows),
            Sender::Server => {
                let is_last = data.missing == 0 && at + packet.length == data.bytes.len();
                server::packet(session, packet, is_last, data.time_ns, rows);
            }
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
