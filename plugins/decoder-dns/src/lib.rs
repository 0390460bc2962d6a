//! Decoder of DNS: every question with its answer, over UDP and TCP.

// The content of messages.
mod vocabulary;
mod name;
mod message;

// How connections are recognised.
mod recognise;

// The fields of a row.
mod attributes;
mod cardinality;

// Questions, and their answers.
mod waiting;
mod matching;

pub use attributes::Exchange;
pub use matching::Lookups;

use plugin_sdk::Config;
use plugin_sdk::conversation::{
    Beginning, Data, Description, Emit, Ending, Foreign, Kept, Kind, Opinion, Protocol, Sender, Sheet, Transport,
};

use cardinality::CountedNames;
use message::{HEADER, Message};
use name::ParseError;
use waiting::{Answer, Lookup};

/// The protocol.
#[derive(Default)]
pub struct Dns {
    counted: CountedNames,
    /// Buffer of the name that is being read.
    name: Vec<u8>,
}

/// Number of unreadable calls in a row after which a connection speaks another protocol.
const MAX_UNREADABLE: u8 = 16;

impl Protocol for Dns {
    /// Timeout of a question: resolvers ask again after a few seconds, and give up after some more.
    const TIMEOUT_S: u64 = 30;
    const STATE_VERSION: u16 = 2;

    type Connection = Lookups;
    type Exchange = Exchange;

    fn description() -> Description {
        recognise::description()
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self::default())
    }

    fn sheet(&self) -> Sheet<Exchange> {
        attributes::sheet()
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        recognise::recognise(beginning)
    }

    fn data(&mut self, lookups: &mut Lookups, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let all = data.bytes.len() + data.missing as usize;
        if data.transport == Transport::Udp {
            match self.read_message(lookups, &Part { data, start: 0, bytes: data.bytes }, rows) {
                Err(ParseError::Truncated) if data.missing > 0 => {}
                Err(_) => count_unreadable(lookups)?,
                Ok(()) => {}
            }
            return Ok(all);
        }
        let mut at = 0;
        while let Some(&[high, low]) = data.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let start = at + 2;
            let whole = data.bytes.get(start..start + length);
            let bytes = whole.or(data.bytes.get(start..)).unwrap_or_default();
            let part = Part { data, start: at, bytes };
            match if length < HEADER { Err(ParseError::Malformed) } else { self.read_message(lookups, &part, rows) } {
                // The rest of its question comes with the next call.
                Err(ParseError::Truncated) if whole.is_none() && data.missing == 0 => return Ok(at),
                Err(ParseError::Malformed) => {
                    count_unreadable(lookups)?;
                    return Ok(all);
                }
                _ => at = start + length,
            }
        }
        Ok(at)
    }

    fn weight(lookups: &Lookups) -> usize {
        lookups.weight()
    }

    fn gap(&mut self, _: &mut Lookups, _: Sender, _: &mut Emit<'_, Exchange>) {}

    fn end(&mut self, lookups: &mut Lookups, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        for lookup in lookups.give_up(why) {
            let exchange = self.unanswered_exchange(&lookup, rows);
            rows.row(lookup.began, why.time_ns(), exchange).unfinished(why);
        }
    }
}

/// A message within a call: its bytes, from `start` on.
struct Part<'a> {
    data: &'a Data<'a>,
    start: usize,
    bytes: &'a [u8],
}

impl Dns {
    /// Reads one message.
    fn read_message(
        &mut self,
        lookups: &mut Lookups,
        part: &Part<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<(), ParseError> {
        let &Part { data, start, bytes } = part;
        let message = Message::read(bytes, &mut self.name)?;
        (lookups.is_confirmed, lookups.unreadable) = (true, 0);
        let (question, _) = message.question.unwrap_or_default();
        if message.is_response {
            self.handle_answer(lookups, &message, data, rows);
            return Ok(());
        }
        let key = message.key();
        let mut began = data.began(start);
        if data.transport == Transport::Udp {
            // The same at both ends, and rarely the same for two questions.
            began.sequence = (key >> 32) as u32 | 1;
        }
        if lookups.needs_room(data.time_ns) {
            for lookup in lookups.forget_old(data.time_ns) {
                let exchange = self.unanswered_exchange(&lookup, rows);
                rows.row(lookup.began, data.time_ns, exchange).forgotten();
            }
        }
        let lookup = Lookup::new(message.id, began, &self.name, question, message.opcode);
        if let Some(answer) = lookups.take_early(key, data.time_ns) {
            self.emit_answered(&lookup, answer, rows);
            return Ok(());
        }
        if let Err(lookup) = lookups.add_question(key, data.peer, rows.kind() == Kind::Server, lookup) {
            let exchange = self.unanswered_exchange(&lookup, rows);
            rows.row(began, data.time_ns, exchange).forgotten();
        }
        Ok(())
    }

    /// Handles an answer, whose name has just been read.
    #[inline]
    fn handle_answer(&mut self, lookups: &mut Lookups, message: &Message, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        let is_server = rows.kind() == Kind::Server;
        let Message { code, answers, is_truncated, .. } = *message;
        let answer = Answer { time_ns: data.time_ns, code, answers, is_truncated };
        let found = match message.question {
            Some(_) => lookups.take_answered(message.key(), is_server),
            None => lookups.take_by_id(message.id),
        };
        match found {
            Some(lookup) => self.emit_answered(&lookup, answer, rows),
            // Over TCP, records come in order.
            None if !is_server && data.transport == Transport::Udp => lookups.keep_early(message.key(), answer),
            None => {}
        }
    }

    #[inline]
    fn emit_answered(&mut self, lookup: &Lookup, answer: Answer, rows: &mut Emit<'_, Exchange>) {
        let is_server = rows.kind() == Kind::Server;
        let Answer { time_ns, code, answers, is_truncated } = answer;
        let (name, route) = self.counted_name(lookup.name.as_bytes(), code == 0, rows);
        let Lookup { question, opcode, retransmits, .. } = *lookup;
        let exchange = Exchange { name, route, question, opcode, code: Some(code), answers, retransmits, is_truncated };
        let mut row = rows.row(lookup.began, time_ns, exchange);
        // As with HTTP: a question for a name that does not exist is an error of the client, not of the server.
        match (vocabulary::response_code(code), is_server) {
            ("NOERROR", _) | ("NXDOMAIN" | "REFUSED" | "FORMERR" | "NOTAUTH" | "BADVERS" | "BADCOOKIE", true) => {}
            (code, _) => {
                row.error(code);
            }
        }
    }

    /// Returns the name of a row if it is not counted separately, and the name or `*` by which it is counted.
    #[inline]
    fn counted_name(&mut self, name: &[u8], is_earned: bool, rows: &mut Emit<'_, Exchange>) -> (Kept, Kept) {
        if self.counted.is_counted(message::digest(0, name), is_earned) {
            return (Kept::default(), rows.keep(name));
        }
        (rows.keep(name), rows.keep(b"*"))
    }

    fn unanswered_exchange(&mut self, lookup: &Lookup, rows: &mut Emit<'_, Exchange>) -> Exchange {
        let (name, route) = self.counted_name(lookup.name.as_bytes(), false, rows);
        let Lookup { question, opcode, retransmits, .. } = *lookup;
        Exchange { name, route, question, opcode, code: None, answers: 0, retransmits, is_truncated: false }
    }
}

/// Counts bytes that are not a message: another protocol, unless they come between messages.
#[cold]
fn count_unreadable(lookups: &mut Lookups) -> Result<(), Foreign> {
    lookups.unreadable = lookups.unreadable.saturating_add(1);
    if lookups.is_confirmed || lookups.unreadable < MAX_UNREADABLE { Ok(()) } else { Err(Foreign::Whole) }
}

plugin_sdk::export!(protocol: Dns);
