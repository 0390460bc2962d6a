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
    /// It asks again before it has been answered.
    is_overlapping: bool,
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
    makes: bool,
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

/// More commands than this do not wait: a connection then keeps 160 KiB. Clients set thousands of keys at once, and read later.
const MOST_WAITING: usize = 4096;
/// So many calls in a row make no sense: it is another protocol. Fewer will do where nothing made sense yet.
const MOST_NONSENSE: u8 = 16;
const MOST_NONSENSE_FIRST: u8 = 4;
/// A server that said nothing more for so long has said all.
const SETTLED_NS: u64 = 1_000_000_000;
/// A quiet command behind which nothing came for so long gets no reply, and is told as one that got none.
const QUIET_NS: u64 = 30_000_000_000;

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
        let is_deaf = self.doubt.is_some_and(|doubt| doubt.is_deaf);
        if self.is_log || is_deaf && !self.is_heard_again(data, rows) {
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

    /// Bytes are missing before those of a call, or a call could not be read.
    #[cold]
    pub(crate) fn miss(&mut self, sender: Sender, time_ns: u64) {
        match sender {
            // Nothing of it was heard before.
            Sender::Client if self.heard.time_ns == 0 => self.heard.time_ns = time_ns,
            Sender::Client => {}
            Sender::Server => self.answered = Some(time_ns),
        }
        self.lose(sender);
    }

    /// After bytes of the server went missing: whether this call is what the client waits for. Who asks and waits in turn has asked its
    /// last since the rest was answered, and gets as many replies as it asked for, from the first byte of a call to its last.
    #[cold]
    fn is_heard_again(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> bool {
        let Some(last_ns) = self.waiting.iter().last().map(|waiting| waiting.began.time_ns) else { return false };
        if self.is_overlapping || !data.call_start || data.missing > 0 {
            return false;
        }
        let asked = self.waiting.iter().filter(|waiting| waiting.began.time_ns == last_ns).count();
        let (mut replies, mut at, mut heard) = (Replies::default(), 0, 0);
        while heard <= asked && matches!(replies.next(data.bytes, 0, &mut at), Ok(Some(_))) {
            heard += 1;
        }
        if heard != asked || at != data.bytes.len() {
            return false;
        }
        while self.waiting.len() > asked {
            if let Some(waiting) = self.waiting.pop() {
                finish(&waiting, None, data.time_ns, rows);
            }
        }
        self.doubt = None;
        true
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
        let is_quiet_over = why.is_final() || why.silence_ns() > QUIET_NS;
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.began.is_given_up) {
            match waiting.answer {
                Answer::Unusual if is_quiet_over => finish(waiting, None, waiting.began.time_ns, rows),
                Answer::Always if why.gives_up(waiting.began) => {
                    rows.row(waiting.began, why.time_ns(), waiting.exchange(None)).unfinished(why);
                }
                _ => continue,
            }
            waiting.began.is_given_up = true;
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
        let Command { start, name, keys, style, answer, makes, opaque } = command;
        let waiting = Waiting { began: data.began(start), opaque, keys, name, style, answer, makes };
        if answer == Answer::Never {
            return finish(&waiting, None, waiting.began.time_ns, rows);
        }
        if let Some(oldest) = self.waiting.push(waiting) {
            forget(&oldest, data.time_ns, rows);
        }
    }

    /// A reply.
    #[inline]
    fn answer(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        (self.is_sure, self.nonsense) = (true, 0);
        let is_certain = self.doubt.is_none_or(|doubt| doubt.certain > 0);
        if reply.style == Style::Meta && self.is_of_nobody(reply) {
            return;
        }
        while let Some(waiting) = self.waiting.pop() {
            match &mut self.doubt {
                Some(doubt) => doubt.certain = doubt.certain.saturating_sub(1),
                None => {
                    self.is_overlapping |= self.waiting.front().is_some_and(|next| next.began.time_ns != waiting.began.time_ns)
                }
            }
            let gets = match waiting.answer {
                Answer::Unusual => waiting.gets(reply),
                _ => waiting.may_get(reply),
            };
            if is_certain && !gets {
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

    /// Whether no command that waits can have such a reply: an error, or a quiet command, was taken to be another's.
    fn is_of_nobody(&self, reply: &Reply) -> bool {
        let is_its = |waiting: &Waiting| match waiting.answer {
            Answer::Unusual => waiting.gets(reply),
            _ => waiting.may_get(reply),
        };
        self.doubt.is_none() && !self.waiting.front().is_some_and(is_its) && !self.waiting.iter().any(is_its)
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
        if self.nonsense < most { Ok(()) } else { Err(Foreign::Whole) }
    }
}

/// A command for which there is no room any more.
#[cold]
fn forget(waiting: &Waiting, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    match waiting.answer {
        Answer::Always if !waiting.began.is_given_up => {
            rows.row(waiting.began, time_ns, waiting.exchange(None)).forgotten();
        }
        Answer::Always => {}
        // Most of them get no reply.
        _ => finish(waiting, None, time_ns, rows),
    }
}

/// A command is done with; without a reply nobody knows how it went.
#[inline]
fn finish(waiting: &Waiting, reply: Option<&Reply>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    if reply.is_none() && waiting.began.is_given_up {
        // That is told already.
        return;
    }
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
        let code = reply.code.text();
        match (self.style, reply.style) {
            (Style::Binary, Style::Binary) => {
                let usual = if matches!(self.name.text(), "get" | "gat") { "KEY_ENOENT" } else { "SUCCESS" };
                self.opaque == reply.opaque && reply.command == (self.name, true) && code != usual
            }
            (Style::Meta, Style::Meta) if self.opaque != reply.opaque => false,
            (Style::Meta, Style::Meta) => match (self.name.text(), code) {
                // A miss is what is usual of these, and success of the others. That something is not there to be deleted or counted is
                // told by servers of 1.6; where one does not, the reply is that of a later command, and looks the same.
                ("mg", "EN") | ("ms" | "md", "HD") => false,
                ("ma", "HD") => self.makes,
                ("ma", "VA") => false,
                _ => self.may_get(reply),
            },
            (Style::Meta, Style::Text) => reply.code.is_error(),
            _ => false,
        }
    }

    /// Whether a command can have such a reply at all. It matters for the replies to meta commands, where quiet ones stand between
    /// others.
    fn may_get(&self, reply: &Reply) -> bool {
        match (self.style, reply.style) {
            (Style::Meta, Style::Meta) => {}
            (style, Style::Meta) => return style == Style::Meta,
            _ => return true,
        }
        match self.name.text() {
            "mg" => matches!(reply.code.text(), "HD" | "VA" | "EN"),
            "ms" => matches!(reply.code.text(), "HD" | "NS" | "EX" | "NF"),
            "md" => matches!(reply.code.text(), "HD" | "EX" | "NF"),
            "ma" => matches!(reply.code.text(), "HD" | "VA" | "NS" | "EX" | "NF"),
            "me" => matches!(reply.code.text(), "ME" | "EN"),
            _ => reply.code.text() == "MN",
        }
    }
}
