//! Decoder of the PostgreSQL protocol, version 3: every statement that was executed becomes a span.

mod recognise;
pub mod message;
mod resync;
mod client;
mod server;
mod names;
mod waiting;
mod session;
mod answers;

pub use session::Session;

use plugin_sdk::Config;
use plugin_sdk::conversation::{Beginning, Data, Description, Emit, Ending, Foreign, Opinion, Protocol, Sender, Sheet};
use sql::{Exchange, Library};

use message::{Framed, frame};
use session::Stage;

/// The protocol.
pub struct PostgreSql {
    library: Library,
}

/// After so many calls of which nothing was ever understood it is something else.
const STRANGE: u8 = 8;

// === impl PostgreSql ===

impl Protocol for PostgreSql {
    const STATE_VERSION: u16 = 2;

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
        sql::sheet("postgresql.statement").u32("postgresql.unread_bytes", |exchange| exchange.unread).unit("By").omit_zero()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, session: &mut Session, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let sender = data.sender;
        let mut at = 0;
        match sender {
            Sender::Server => {
                session.answered_ns = data.time_ns;
                session.is_cut = data.missing > 0;
                if session.stage == Stage::Asking {
                    at = server::answer(session, data.bytes.first().copied().unwrap_or_default())?;
                }
            }
            Sender::Client if session.stage != Stage::Open => {
                at = client::open(session, data)?;
                if session.stage != Stage::Open {
                    return Ok(at);
                }
            }
            Sender::Client => {}
        }
        let done = self.messages(session, (data, at), rows)?;
        // Of what follows in the same call the messages that were read claim so much.
        let claimed = done.saturating_sub(data.bytes.len()).min(data.missing as usize) as u32;
        if sender == Sender::Client && data.missing > claimed {
            session.ask_unread(data.began(0), data.missing - claimed, rows);
        }
        Ok(done)
    }

    fn weight(session: &Session) -> usize {
        session.weight()
    }

    fn gap(&mut self, session: &mut Session, sender: Sender, rows: &mut Emit<'_, Exchange>) {
        if sender == Sender::Server {
            let is_cut = std::mem::take(&mut session.is_cut);
            session.forget_modes(is_cut);
            if !is_cut {
                session.close_asked_again(rows);
            }
            // Of a call that could not be read, too: who asks again has read it.
            session.answered_ns = rows.time_ns();
        }
        session.miss(sender);
    }

    fn end(&mut self, session: &mut Session, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        session.give_up(why, rows);
    }
}

impl PostgreSql {
    /// The messages from `at`; how many bytes are done with.
    fn messages(
        &mut self,
        session: &mut Session,
        (data, mut at): (&Data<'_>, usize),
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let sender = data.sender;
        loop {
            let rest = data.bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(at);
            }
            if !session.side(sender).in_step {
                let Some(from) = resync::resync(sender, rest, data.missing) else {
                    if sender == Sender::Client {
                        session.ask_unread(data.began(at), rest.len() as u32, rows);
                    }
                    return session.lose(sender, STRANGE).map(|()| data.bytes.len());
                };
                session.side(sender).in_step = true;
                at += from;
                continue;
            }
            let message = match frame(sender, rest) {
                Framed::Message(message) => message,
                Framed::Short => return Ok(at),
                Framed::Broken => {
                    if sender == Sender::Server {
                        session.forget_modes(false);
                    }
                    session.miss(sender);
                    return session.lose(sender, STRANGE).map(|()| data.bytes.len());
                }
            };
            let is_torn = message.body.len() + 5 < message.length && data.missing == 0;
            let is_waited_for = match sender {
                Sender::Client => client::is_waited_for(&message),
                Sender::Server => server::is_waited_for(&message),
            };
            if is_torn && is_waited_for {
                return Ok(at);
            }
            session.is_proven = true;
            match sender {
                Sender::Client => client::message(session, &mut self.library, &message, (data, at), rows),
                Sender::Server => server::message(session, &message, data, rows),
            }
            at += message.length;
        }
    }
}

plugin_sdk::export!(protocol: PostgreSql);
