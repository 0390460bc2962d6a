//! Commands, and the replies that belong to them.

use plugin_sdk::conversation::{Began, Data, Emit, Ending, Foreign, Queue, Sender};
use serde::{Deserialize, Serialize};

use crate::line::Garbled;
use crate::reply::{Replies, Reply};
use crate::request::{Answer, Command, Requests, Style};
use crate::words::{Code, Name};

/// What is remembered of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    requests: Requests,
    replies: Replies,
    waiting: Queue<Waiting, MOST_WAITING>,
    doubt: Option<Doubt>,
    /// When the server sent its last bytes, if that was after the client's.
    answered: Option<u64>,
    /// Where the client's last call ended, as far as it was captured.
    heard: Began,
    /// What the server sends are lines of its log.
    is_log: bool,
    /// One command or reply was understood.
    is_sure: bool,
    /// Calls in a row that made no sense.
    nonsense: u8,
}

/// A command without a reply yet.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Waiting {
    began: Began,
    opaque: u32,
    keys: u16,
    name: Name,
    style: Style,
    answer: Answer,
}

/// One command and its reply: the protocol's part of a row.
#[derive(Debug, Default, Clone, Copy)]
pub struct Exchange {
    pub(crate) name: Name,
    pub(crate) code: Code,
    pub(crate) keys: u16,
    pub(crate) values: u32,
}

/// Something is missing, so that nobody can tell which reply is whose. Clients that write many commands at once read all replies
/// before they write again: when the client writes after the server did, everything before has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Doubt {
    /// So many of those that wait are before what is missing: their replies are still theirs.
    certain: u32,
    /// Where commands are missing: replies that nobody waits for are theirs.
    lost: Option<Began>,
    /// Where replies are missing: nobody knows where the next one starts.
    is_deaf: bool,
}

/// More commands than this do not wait.
const MOST_WAITING: usize = 512;
/// So many calls in a row make no sense: it is another protocol. Fewer will do where nothing made sense yet.
const MOST_NONSENSE: u8 = 16;
const MOST_NONSENSE_FIRST: u8 = 4;
/// A server that said nothing more for so long has said all.
const SETTLED_NS: u64 = 1_000_000_000;

// === impl Connection ===

impl Connection {
    /// What the client sent. For itself, as what the server sent: the less is at hand in a loop in Wasm, the faster it is.
    #[inline(never)]
    pub(crate) fn commands(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let missing = data.missing as usize;
        if let Some(time_ns) = self.answered.take() {
            if self.doubt.is_some() {
                self.trust(time_ns, rows);
            }
            // Those that would have been answered by now, if they were.
            while self.waiting.front().is_some_and(|waiting| waiting.answer == Answer::Unusual) {
                self.waiting.pop().into_iter().for_each(|waiting| finish(&waiting, None, time_ns, rows));
            }
        }
        self.heard = data.began(data.bytes.len());
        let mut at = 0;
        loop {
            match self.requests.next(data.bytes, missing, &mut at) {
                Ok(Some(command)) => self.ask(command, data, rows),
                Ok(None) => return Ok(at),
                Err(Garbled) => {
                    self.makes_no_sense()?;
                    self.lose(Sender::Client);
                    return Ok(data.bytes.len() + missing);
                }
            }
        }
    }

    /// What the server sent.
    #[inline(never)]
    pub(crate) fn answers(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let missing = data.missing as usize;
        let all = data.bytes.len() + missing;
        self.answered = Some(data.time_ns);
        if self.is_log || self.doubt.is_some_and(|doubt| doubt.is_deaf) {
            return Ok(all);
        }
        let mut at = 0;
        loop {
            match self.replies.next(data.bytes, missing, &mut at) {
                Ok(Some(reply)) => self.answer(&reply, data.time_ns, rows),
                Ok(None) => return Ok(at),
                Err(Garbled) => {
                    self.makes_no_sense()?;
                    self.lose(Sender::Server);
                    return Ok(all);
                }
            }
        }
    }

    /// Bytes are missing, or make no sense.
    #[cold]
    pub(crate) fn lose(&mut self, sender: Sender) {
        let certain = self.waiting.len() as u32;
        let doubt = self.doubt.get_or_insert(Doubt { certain, lost: None, is_deaf: false });
        match sender {
            Sender::Client => {
                doubt.lost.get_or_insert(self.heard);
                self.requests.lose();
            }
            Sender::Server => {
                (doubt.certain, doubt.is_deaf) = (0, true);
                self.replies.lose();
            }
        }
    }

    /// Nothing will follow, or time has passed.
    pub(crate) fn end(&mut self, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        if self.doubt.is_some()
            && let Some(time_ns) = self.answered
            && (why.is_final() || why.time_ns().saturating_sub(time_ns) > SETTLED_NS)
        {
            self.trust(time_ns, rows);
        }
        let mut given_up = 0;
        self.waiting.give_up(
            |waiting| why.gives_up(waiting.began),
            |waiting| {
                given_up += 1;
                match waiting.answer {
                    Answer::Unusual => finish(&waiting, None, waiting.began.time_ns, rows),
                    _ => drop(rows.row(waiting.began, why.time_ns(), waiting.exchange(None)).unfinished(why)),
                }
            },
        );
        if let Some(doubt) = &mut self.doubt {
            doubt.certain = doubt.certain.saturating_sub(given_up);
        }
    }

    /// Bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.waiting.len() * size_of::<Waiting>()
    }

    /// A command.
    #[inline]
    fn ask(&mut self, command: Command, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        (self.is_sure, self.nonsense) = (true, 0);
        let Command { start, name, keys, style, answer, opaque } = command;
        let waiting = Waiting { began: data.began(start), opaque, keys, name, style, answer };
        if answer == Answer::Never {
            return finish(&waiting, None, waiting.began.time_ns, rows);
        }
        if let Some(oldest) = self.waiting.push(waiting) {
            finish(&oldest, None, data.time_ns, rows);
        }
    }

    /// A reply.
    #[inline]
    fn answer(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        (self.is_sure, self.nonsense) = (true, 0);
        let is_certain = self.doubt.is_none_or(|doubt| doubt.certain > 0);
        while let Some(waiting) = self.waiting.pop() {
            if let Some(doubt) = &mut self.doubt {
                doubt.certain = doubt.certain.saturating_sub(1);
            }
            if waiting.answer == Answer::Unusual && is_certain && !waiting.gets(reply) {
                finish(&waiting, None, time_ns, rows);
                continue;
            }
            self.is_log |= waiting.name.text() == "watch" && reply.code.text() == "OK";
            return finish(&waiting, is_certain.then_some(reply), time_ns, rows);
        }
        if let Some(lost) = self.doubt.as_mut().and_then(|doubt| doubt.lost.as_mut()) {
            rows.row(*lost, time_ns, Exchange::default());
            // Each has a place of its own, somewhere in what is missing.
            lost.sequence = lost.sequence.wrapping_add(1);
        }
    }

    /// All that was asked before has been answered, unseen.
    #[cold]
    fn trust(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        self.doubt = None;
        self.replies.lose();
        self.waiting.drain().for_each(|waiting| finish(&waiting, None, time_ns, rows));
    }

    #[cold]
    fn makes_no_sense(&mut self) -> Result<(), Foreign> {
        self.nonsense = self.nonsense.saturating_add(1);
        let most = if self.is_sure { MOST_NONSENSE } else { MOST_NONSENSE_FIRST };
        if self.nonsense < most { Ok(()) } else { Err(Foreign) }
    }
}

/// A command is done with; without a reply nobody knows how it went.
#[inline]
fn finish(waiting: &Waiting, reply: Option<&Reply>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    let exchange = waiting.exchange(reply);
    let mut row = rows.row(waiting.began, time_ns, exchange);
    if exchange.code.is_error() {
        row.error(exchange.code.text());
    }
}

// === impl Waiting ===

impl Waiting {
    fn exchange(&self, reply: Option<&Reply>) -> Exchange {
        let (code, values) = reply.map_or((Code::NONE, 0), |reply| (reply.code, reply.values));
        Exchange { name: self.name, code, keys: self.keys, values }
    }

    /// Whether this may be the reply to a command that gets only unusual ones.
    fn gets(&self, reply: &Reply) -> bool {
        match (self.style, reply.style) {
            (Style::Binary, Style::Binary) => self.opaque == reply.opaque,
            (Style::Meta, Style::Meta) if self.opaque != 0 && reply.opaque != 0 => self.opaque == reply.opaque,
            (Style::Meta, Style::Meta) => match (self.name.text(), reply.code.text()) {
                (_, "MN") | ("mg", "EN") => false,
                ("mg", _) => true,
                (_, "HD" | "VA" | "EN" | "NF") => false,
                _ => true,
            },
            (Style::Meta, Style::Text) => reply.code.is_error(),
            _ => false,
        }
    }
}
