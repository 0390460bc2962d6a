//! Decoder of `depot`, a store that speaks a protocol of its own. Lines carry a number, and responses may come in any order:
//!
//! ```text
//! client   PUT 17 apples 5     and 5 bytes        GET 18 pears
//! server   OK 17                                  VALUE 18 5   and 5 bytes, or NONE 18, or BUSY 18
//! ```

use plugin_sdk::conversation::{
    Began, Data, Description, Emit, Ending, Foreign, Kind, Protocol, Sender, Sheet, Short, Signature,
};
use plugin_sdk::{Config, FieldUse, Sensitivity, Signal, scan};
use serde::{Deserialize, Serialize};

/// The protocol. A decoder without settings has no state but connections.
pub struct Depot;

/// The state of one connection. It is handed over when the decoder is replaced.
#[derive(Default, Serialize, Deserialize)]
pub struct Connection {
    asked: Vec<Asked>,
    is_met: bool,
}

/// A request without a response.
#[derive(Serialize, Deserialize)]
struct Asked {
    began: Began,
    number: u32,
    verb: Verb,
    key: Short,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Verb {
    Put,
    Get,
}

/// The fields of a row that are specific to this protocol.
pub struct Exchange {
    verb: Verb,
    key: Short,
    status: &'static str,
}

/// Maximum number of waiting requests on one connection. A client that never reads must not fill the memory.
const MOST: usize = 64;

impl Protocol for Depot {
    type Connection = Connection;
    type Exchange = Exchange;

    fn description() -> Description {
        let verbs = [b"PUT ".as_slice(), b"GET "].map(|verb| Signature::client(verb).tcp().on_port(7070).certain());
        verbs.into_iter().fold(Description::new("depot").on_port(7070), Description::signature)
    }

    fn bind(config: Config<'_>) -> Result<Self, String> {
        config.none()?;
        Ok(Self)
    }

    fn sheet(&self) -> Sheet<Exchange> {
        Sheet::new("depot.request", Signal::Span)
            .name(|exchange: &Exchange, _, out| _ = out.str(exchange.verb.name()))
            .label("request.method", |exchange| exchange.verb.name())
            .used(FieldUse::Dimension)
            .label("response.status", |exchange| exchange.status)
            .used(FieldUse::Dimension)
            .omit_zero()
            // Stored keys are private, unless an operator allows the field by name.
            .text("depot.key", |exchange, out| _ = out.str(&exchange.key))
            .reveals(Sensitivity::Payload)
            .histogram("depot.server.request.duration", "How long the depot takes.", "duration")
            .only_kind(Kind::Server)
            .histogram("depot.client.request.duration", "How long its clients wait.", "duration")
            .only_kind(Kind::Client)
    }

    fn data(&mut self, known: &mut Connection, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let mut done = 0;
        while let Some((line, len)) = data.bytes.get(done..).and_then(scan::line) {
            let began = data.began(done);
            let words: Vec<&str> = std::str::from_utf8(line).unwrap_or_default().split(' ').take(4).collect();
            let number = words.get(1).and_then(|number| number.parse().ok());
            let (verb, Some(number)) = (words.first().copied().unwrap_or_default(), number) else { return known.strange(data) };
            let (size, request) = match (data.sender, verb, &*words) {
                (Sender::Client, "PUT", [_, _, key, size]) => (size.parse().unwrap_or(0), Some((Verb::Put, key))),
                (Sender::Client, "GET", [_, _, key]) => (0, Some((Verb::Get, key))),
                (Sender::Server, "VALUE", [_, _, size]) => (size.parse().unwrap_or(0), None),
                (Sender::Server, "OK" | "NONE" | "BUSY", [_, _]) => (0, None),
                _ => return known.strange(data),
            };
            known.is_met = true;
            // A value may be longer than its captured part: the rest is skipped.
            done = done.saturating_add(len).saturating_add(size);
            if let Some((verb, key)) = request {
                for oldest in
                    known.asked.drain(..known.asked.len().saturating_sub(MOST - 1)).filter(|asked| !asked.began.is_given_up)
                {
                    rows.row(oldest.began, data.time_ns, oldest.unanswered()).forgotten();
                }
                known.asked.push(Asked { began, number, verb, key: Short::cut(key.as_bytes(), 64) });
            } else if let Some(place) = known.asked.iter().position(|asked| asked.number == number) {
                let Asked { began, verb: asked, key, .. } = known.asked.remove(place);
                let (status, error) = match verb {
                    "NONE" => ("none", ""),
                    "BUSY" => ("busy", "busy"),
                    _ => ("ok", ""),
                };
                rows.row(began, data.time_ns, Exchange { verb: asked, key, status }).error(error);
            }
        }
        Ok(done)
    }

    /// Responses carry the number of their request, so a gap needs no reset.
    fn gap(&mut self, _: &mut Connection, _: Sender, _: &mut Emit<'_, Exchange>) {}

    fn end(&mut self, known: &mut Connection, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        for asked in known.asked.iter_mut().filter(|asked| why.gives_up(asked.began)) {
            rows.row(asked.began, why.time_ns(), asked.unanswered()).unfinished(why);
            // A response may still come, and is then reported as late.
            asked.began.is_given_up = true;
        }
    }
}

impl Connection {
    /// Handles a line of another protocol: after lost bytes it may be the middle of a value, else the connection is not ours.
    fn strange(&self, data: &Data<'_>) -> Result<usize, Foreign> {
        if self.is_met { Ok(data.bytes.len() + data.missing as usize) } else { Err(Foreign::Whole) }
    }
}

impl Asked {
    fn unanswered(&self) -> Exchange {
        Exchange { verb: self.verb, key: self.key.clone(), status: "" }
    }
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Get => "GET",
        }
    }
}

plugin_sdk::export!(protocol: Depot);

#[cfg(test)]
mod tests;
