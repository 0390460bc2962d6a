//! Decoder of DNS: every question with its answer, over UDP and TCP.

// What a message says.
mod unread;
mod codes;
mod name;
mod message;

// Which of them belong together.
mod lookups;
mod names;

// How it is told that it is DNS.
mod beginning;

pub use lookups::Lookups;

use plugin_sdk::conversation::{
    Beginning, Data, Description, Emit, Ending, Foreign, Kept, Kind, Opinion, Protocol, Sender, Sheet, Signature, Transport,
};
use plugin_sdk::{Config, FieldUse, Signal};

use lookups::{Answer, Lookup};
use message::{HEADER, Message};
use names::Names;
use unread::Unread;

/// The protocol.
#[derive(Default)]
pub struct Dns {
    names: Names,
    /// The name that is being read.
    name: Vec<u8>,
}

/// One question, and its answer if there was one: the protocol's part of a row.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// As asked; empty if `route` is the same.
    name: Kept,
    /// The name, or `*`.
    route: Kept,
    question: u16,
    opcode: u8,
    /// None if there was no answer.
    code: Option<u16>,
    answers: u16,
    again: u16,
    is_truncated: bool,
}

/// What is worth capturing of a call: the longest name, and the code behind it.
const CAPTURE_BYTES: u32 = 512;
/// After so many calls in a row that make no sense it is another protocol.
const MOST_NONSENSE: u8 = 16;

impl Protocol for Dns {
    /// Resolvers ask again after a few seconds, and give up after some more.
    const TIMEOUT_S: u64 = 30;
    const STATE_VERSION: u16 = 2;

    type Connection = Lookups;
    type Exchange = Exchange;

    fn description() -> Description {
        // One question that is no answer, of the usual kind, and nothing else that is none of EDNS.
        const QUERY: [u8; 9] = [0, 0, 0, 1, 0, 0, 0, 0, 0];
        const QUERY_MASK: [u8; 9] = [0xf8, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        // One question that is answered.
        const ANSWER: [u8; 4] = [0x80, 0, 0, 1];
        const ANSWER_MASK: [u8; 4] = [0xf8, 0x40, 0xff, 0xff];
        let query = || Signature::client(&QUERY).masked(&QUERY_MASK);
        let answer = || Signature::server(&ANSWER).masked(&ANSWER_MASK);
        Description::new("dns")
            .on_port(53)
            .capture_bytes(CAPTURE_BYTES)
            .signature(query().at(2).udp().on_port(53).certain())
            .signature(query().at(4).tcp().on_port(53).certain())
            .signature(query().at(2).udp())
            .signature(query().at(4).tcp())
            .signature(answer().at(2).udp())
            .signature(answer().at(4).tcp())
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self::default())
    }

    fn sheet(&self) -> Sheet<Exchange> {
        Sheet::<Exchange>::new("dns.lookup", Signal::Span)
            .name(|lookup, texts, text| {
                text.str(codes::question(lookup.question)).str(" ").chars(texts.of(lookup.route));
            })
            .kept("dns.question.name", |lookup| lookup.route)
            .used(FieldUse::Dimension)
            .label("dns.question.type", |lookup| codes::question(lookup.question))
            .used(FieldUse::Dimension)
            .label("dns.response_code", |lookup| lookup.code.map_or("", codes::response))
            .used(FieldUse::Dimension)
            .omit_zero()
            .kept("dns.question.qname", |lookup| lookup.name)
            .omit_zero()
            .label("dns.opcode", |lookup| codes::opcode(lookup.opcode))
            .u32("dns.answer.count", |lookup| u32::from(lookup.answers))
            .boolean("dns.response.truncated", |lookup| u8::from(lookup.is_truncated))
            .omit_zero()
            .u32("dns.retransmits", |lookup| u32::from(lookup.again))
            .omit_zero()
            .histogram("dns.lookup.duration", "How long answers take, as those who ask see it.", "duration")
            .only_kind(Kind::Client)
            .histogram("dns.server.request.duration", "How long answers take, as servers see it.", "duration")
            .only_kind(Kind::Server)
    }

    fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        beginning::recognise(beginning)
    }

    fn data(&mut self, lookups: &mut Lookups, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let all = data.bytes.len() + data.missing as usize;
        if data.transport == Transport::Udp {
            match self.message(lookups, &Part { data, start: 0, bytes: data.bytes }, rows) {
                Err(Unread::Short) if data.missing > 0 => {}
                Err(_) => makes_no_sense(lookups)?,
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
            match if length < HEADER { Err(Unread::Bad) } else { self.message(lookups, &part, rows) } {
                // The rest of its question comes with the next call.
                Err(Unread::Short) if whole.is_none() && data.missing == 0 => return Ok(at),
                Err(Unread::Bad) => {
                    makes_no_sense(lookups)?;
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
            let exchange = self.unanswered(&lookup, rows);
            rows.row(lookup.began, why.time_ns(), exchange).unfinished(why);
        }
    }
}

/// Where a message is: the bytes of a call from `start` on.
struct Part<'a> {
    data: &'a Data<'a>,
    start: usize,
    bytes: &'a [u8],
}

impl Dns {
    /// One message.
    fn message(&mut self, lookups: &mut Lookups, part: &Part<'_>, rows: &mut Emit<'_, Exchange>) -> Result<(), Unread> {
        let &Part { data, start, bytes } = part;
        let message = Message::read(bytes, &mut self.name)?;
        (lookups.is_sure, lookups.nonsense) = (true, 0);
        let (question, _) = message.question.unwrap_or_default();
        if message.is_response {
            self.answered(lookups, &message, data, rows);
            return Ok(());
        }
        let key = message.key();
        let mut began = data.began(start);
        if data.transport == Transport::Udp {
            // The same at both ends, and hardly ever the same for two questions.
            began.sequence = (key >> 32) as u32 | 1;
        }
        if lookups.is_full(data.time_ns) {
            for lookup in lookups.forget_old(data.time_ns) {
                let exchange = self.unanswered(&lookup, rows);
                rows.row(lookup.began, data.time_ns, exchange).forgotten();
            }
        }
        let lookup = Lookup::new(message.id, began, &self.name, question, message.opcode);
        if let Some(answer) = lookups.early(key, data.time_ns) {
            self.row(&lookup, answer, rows);
            return Ok(());
        }
        if let Err(lookup) = lookups.ask(key, data.peer, rows.kind() == Kind::Server, lookup) {
            let exchange = self.unanswered(&lookup, rows);
            rows.row(began, data.time_ns, exchange).forgotten();
        }
        Ok(())
    }

    /// An answer, whose name has just been read.
    #[inline]
    fn answered(&mut self, lookups: &mut Lookups, message: &Message, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        let is_server = rows.kind() == Kind::Server;
        let Message { code, answers, is_truncated, .. } = *message;
        let answer = Answer { time_ns: data.time_ns, code, answers, is_truncated };
        let found = match message.question {
            Some(_) => lookups.answer(message.key(), is_server),
            None => lookups.answer_by_id(message.id),
        };
        match found {
            Some(lookup) => self.row(&lookup, answer, rows),
            // Over TCP they come in order.
            None if !is_server && data.transport == Transport::Udp => lookups.keep_early(message.key(), answer),
            None => {}
        }
    }

    #[inline]
    fn row(&mut self, lookup: &Lookup, answer: Answer, rows: &mut Emit<'_, Exchange>) {
        let is_server = rows.kind() == Kind::Server;
        let Answer { time_ns, code, answers, is_truncated } = answer;
        let (name, route) = self.routed(lookup.name.as_bytes(), code == 0, rows);
        let Lookup { question, opcode, again, .. } = *lookup;
        let exchange = Exchange { name, route, question, opcode, code: Some(code), answers, again, is_truncated };
        let mut row = rows.row(lookup.began, time_ns, exchange);
        // As with HTTP: to have asked for what is not there is an error of the one who asked, not of the server.
        match (codes::response(code), is_server) {
            ("NOERROR", _) | ("NXDOMAIN" | "REFUSED" | "FORMERR" | "NOTAUTH" | "BADVERS" | "BADCOOKIE", true) => {}
            (code, _) => {
                row.error(code);
            }
        }
    }

    /// The name of a row, and the one that it is counted by.
    #[inline]
    fn routed(&mut self, name: &[u8], is_earned: bool, rows: &mut Emit<'_, Exchange>) -> (Kept, Kept) {
        if self.names.has(message::digest(0, name), is_earned) {
            return (Kept::default(), rows.keep(name));
        }
        (rows.keep(name), rows.keep(b"*"))
    }

    fn unanswered(&mut self, lookup: &Lookup, rows: &mut Emit<'_, Exchange>) -> Exchange {
        let (name, route) = self.routed(lookup.name.as_bytes(), false, rows);
        let Lookup { question, opcode, again, .. } = *lookup;
        Exchange { name, route, question, opcode, code: None, answers: 0, again, is_truncated: false }
    }
}

/// Bytes that are no message: another protocol, unless they come between messages.
#[cold]
fn makes_no_sense(lookups: &mut Lookups) -> Result<(), Foreign> {
    lookups.nonsense = lookups.nonsense.saturating_add(1);
    if lookups.is_sure || lookups.nonsense < MOST_NONSENSE { Ok(()) } else { Err(Foreign::Whole) }
}

plugin_sdk::export!(protocol: Dns);
