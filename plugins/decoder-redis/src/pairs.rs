//! Commands, and the replies that belong to them.

use plugin_sdk::conversation::{Began, Data, Emit, Ending, Foreign, Kind as Side, Queue, Sender};
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::line::Garbled;
use crate::reply::{Replies, Reply, Shape};
use crate::request::{Command, OFF, ON, Requests, SKIP};
use crate::transaction::{Change, Outcome, Transaction};
use crate::vocabulary::{Kind, Name, Vocabulary};

/// What is remembered of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    requests: Requests,
    replies: Replies,
    waiting: Queue<Waiting, MOST_WAITING>,
    /// Replies that came before their commands did.
    early: Queue<Early, MOST_EARLY>,
    /// Index of the database that commands run in.
    database: u16,
    /// What was queued since `MULTI`.
    transaction: Option<Transaction>,
    /// The client has sent `MULTI`, and not what ends it.
    is_queueing: bool,
    /// Confirmations of the last subscription that are still to come.
    confirmations: u32,
    silence: Silence,
    doubt: Option<Doubt>,
    /// When the server sent its last bytes, if that was after the client's.
    answered: Option<u64>,
    /// Where the client's last call ended, as far as it was captured.
    heard: Began,
    is_subscribed: bool,
    is_monitor: bool,
    /// What follows is replicated data.
    is_stream: bool,
    /// One command or reply was understood.
    is_sure: bool,
    /// There was doubt before: a reply without a command may be that of one that was given up.
    was_in_doubt: bool,
    /// It asks again before it has been answered.
    is_overlapping: bool,
    /// Calls in a row that made no sense.
    nonsense: u8,
}

/// A command without a reply yet.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Waiting {
    began: Began,
    name: Name,
    kind: Kind,
    detail: u16,
    arguments: u32,
}

/// A reply without a command yet: where one thread of a client writes and another reads, the record of the write may come second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Early {
    time_ns: u64,
    reply: Reply,
}

/// One command and its reply: the protocol's part of a row.
#[derive(Debug, Default, Clone, Copy)]
pub struct Exchange {
    pub(crate) name: Name,
    pub(crate) database: u16,
    /// Behind the name.
    pub(crate) arguments: u32,
    /// `EXEC`: the commands that it ran.
    pub(crate) batch: u32,
    pub(crate) code: Code,
}

/// What `CLIENT REPLY` turned off.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Silence {
    #[default]
    Off,
    Next,
    On,
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

/// More commands than this do not wait: a connection then keeps 400 KiB. Pipelines of 10,000 are usual, and of each call that they
/// are written with only the first commands are captured.
const MOST_WAITING: usize = 8192;
/// So many replies may be early, by so much: the time from the end of a call to its record.
const MOST_EARLY: usize = 64;
const EARLY_NS: u64 = 1_000_000;
/// So many calls in a row make no sense: it is another protocol. Fewer will do where nothing made sense yet.
const MOST_NONSENSE: u8 = 16;
const MOST_NONSENSE_FIRST: u8 = 4;
/// A server that said nothing more for so long has said all.
const SETTLED_NS: u64 = 1_000_000_000;

// === impl Connection ===

impl Connection {
    /// What the client sent.
    pub(crate) fn commands(
        &mut self,
        words: &Vocabulary,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len() + data.missing as usize;
        if let Some(time_ns) = self.answered.take()
            && self.doubt.is_some()
        {
            self.trust(time_ns, rows);
        }
        self.heard = data.began(data.bytes.len());
        if self.is_stream {
            return Ok(all);
        }
        let mut at = 0;
        loop {
            match self.requests.next(words, data.bytes, &mut at) {
                Ok(Some(command)) => self.ask(command, data, rows),
                Ok(None) => return Ok(at),
                Err(Garbled) => {
                    self.makes_no_sense()?;
                    self.lose(Sender::Client);
                    return Ok(all);
                }
            }
        }
    }

    /// What the server sent.
    pub(crate) fn answers(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let all = data.bytes.len() + data.missing as usize;
        self.answered = Some(data.time_ns);
        let is_deaf = self.doubt.is_some_and(|doubt| doubt.is_deaf);
        if self.is_stream || is_deaf && !self.is_heard_again(data, rows) {
            return Ok(all);
        }
        if self.waiting.front().is_some_and(|waiting| waiting.kind == Kind::Replicate)
            && !matches!(data.bytes, [b'-' | b'\n', ..])
        {
            self.pair(&Reply::VALUE, data.time_ns, rows);
            self.is_stream = true;
            return Ok(all);
        }
        let mut at = 0;
        loop {
            // If the next reply is that to `EXEC`.
            let is_exec = || self.waiting.front().is_some_and(|waiting| waiting.kind == Kind::Exec);
            let exec = self.transaction.as_ref().filter(|_| is_exec());
            match self.replies.next(data.bytes, data.missing as usize, exec, &mut at) {
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
        while heard <= asked && matches!(replies.next(data.bytes, 0, None, &mut at), Ok(Some(_))) {
            heard += 1;
        }
        if heard != asked || at != data.bytes.len() {
            return false;
        }
        while self.waiting.len() > asked {
            if let Some(waiting) = self.waiting.pop() {
                self.finish_unseen(&waiting, rows, data.time_ns);
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
        let is_given_up = |waiting: &Waiting| why.gives_up(waiting.began) && (why.is_final() || waiting.kind != Kind::Blocks);
        for waiting in self.waiting.iter_mut().filter(|waiting| is_given_up(waiting)) {
            let mut row = rows.row(waiting.began, why.time_ns(), waiting.exchange(self.database, Code::NONE));
            if waiting.kind != Kind::Ends {
                row.unfinished(why);
            }
            // Its reply may come yet.
            waiting.began.is_given_up = true;
        }
    }

    /// Bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.waiting.len() * size_of::<Waiting>() + self.early.len() * size_of::<Early>()
    }

    /// A command.
    #[inline]
    fn ask(&mut self, command: Command, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        self.understood();
        let Command { start, name, kind, arguments, detail } = command;
        let waiting = Waiting { began: data.began(start), name, kind, detail, arguments };
        if kind != Kind::Plain || self.silence != Silence::Off || self.is_subscribed {
            let stays_subscribed = matches!(kind, Kind::Subscribe | Kind::Unsubscribe | Kind::Ping | Kind::Ends | Kind::Reset);
            self.is_subscribed &= stays_subscribed;
            let is_silent = self.is_silent(kind, detail);
            self.is_queueing = match kind {
                Kind::Multi => true,
                _ => self.is_queueing && kind.is_queued(),
            };
            if is_silent {
                return self.finish_unseen(&waiting, rows, waiting.began.time_ns);
            }
        }
        if !self.early.is_empty()
            && let Some(early) = self.early.pop()
            && waiting.began.time_ns.saturating_sub(early.time_ns) < EARLY_NS
        {
            return self.finish(&waiting, early.reply, rows, early.time_ns.max(waiting.began.time_ns));
        }
        if let Some(oldest) = self.waiting.push(waiting) {
            self.forget(&oldest, rows, data.time_ns);
        }
    }

    /// A command for which there is no room any more.
    #[cold]
    fn forget(&self, waiting: &Waiting, rows: &mut Emit<'_, Exchange>, time_ns: u64) {
        if !waiting.began.is_given_up {
            rows.row(waiting.began, time_ns, waiting.exchange(self.database, Code::NONE)).forgotten();
        }
    }

    /// Whether this command gets no reply.
    fn is_silent(&mut self, kind: Kind, detail: u16) -> bool {
        let before = self.silence;
        // In a transaction it is queued, as all others are.
        let kind = if self.is_queueing && kind == Kind::Reply { Kind::Plain } else { kind };
        if kind == Kind::Reset && before == Silence::On {
            self.silence = Silence::Off;
            return false;
        }
        self.silence = match (kind, detail, before) {
            (Kind::Reply, ON, _) => Silence::Off,
            (Kind::Reply, OFF, _) | (_, _, Silence::On) => Silence::On,
            (Kind::Reply, SKIP, _) => Silence::Next,
            _ => Silence::Off,
        };
        match kind {
            Kind::Reply => detail != ON,
            _ => before != Silence::Off,
        }
    }

    /// A reply, or what stands between replies.
    #[inline]
    fn answer(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        self.understood();
        if reply.shape != Shape::Value && self.is_between(reply.shape) {
            return;
        }
        self.pair(reply, time_ns, rows);
    }

    /// Whether this is no reply to a command.
    fn is_between(&mut self, shape: Shape) -> bool {
        match shape {
            Shape::Push => true,
            Shape::Message => self.is_subscribed,
            Shape::Line => self.is_monitor,
            Shape::Value | Shape::Null | Shape::Queued => false,
            Shape::Confirmation | Shape::PushedConfirmation => {
                if self.confirmations > 0 {
                    self.confirmations -= 1;
                    return true;
                }
                match self.waiting.front() {
                    Some(Waiting { kind: Kind::Subscribe | Kind::Unsubscribe, arguments, .. }) => {
                        self.confirmations = arguments.saturating_sub(1);
                        self.is_subscribed = true;
                        false
                    }
                    _ => self.is_subscribed || shape == Shape::PushedConfirmation,
                }
            }
        }
    }

    /// Finds the command of a reply.
    #[inline(always)]
    fn pair(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let is_certain = self.doubt.is_none_or(|doubt| doubt.certain > 0);
        let Some(waiting) = self.waiting.pop() else {
            return self.unasked(reply, time_ns, rows);
        };
        match &mut self.doubt {
            Some(doubt) => doubt.certain = doubt.certain.saturating_sub(1),
            None => self.is_overlapping |= self.waiting.front().is_some_and(|next| next.began.time_ns != waiting.began.time_ns),
        }
        if is_certain { self.finish(&waiting, *reply, rows, time_ns) } else { self.finish_unseen(&waiting, rows, time_ns) }
    }

    /// A reply to a command that nobody saw.
    #[cold]
    fn unasked(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if let Some(lost) = self.doubt.as_mut().and_then(|doubt| doubt.lost.as_mut()) {
            let began = *lost;
            // Each has a place of its own, somewhere in what is missing.
            lost.sequence = lost.sequence.wrapping_add(1);
            let exchange = Exchange { database: self.database, ..Exchange::default() };
            rows.row(began, time_ns, exchange);
        } else if rows.kind() == Side::Client && !self.was_in_doubt {
            self.early.push(Early { time_ns, reply: *reply });
        }
    }

    /// A command is done with.
    #[inline]
    fn finish(&mut self, waiting: &Waiting, reply: Reply, rows: &mut Emit<'_, Exchange>, time_ns: u64) {
        let mut exchange = waiting.exchange(self.database, reply.code);
        if waiting.kind != Kind::Plain || self.transaction.is_some() || reply.shape == Shape::Queued {
            self.take_effect(waiting, reply, self.replies.outcome(), &mut exchange);
        }
        let mut row = rows.row(waiting.began, time_ns, exchange);
        if reply.code != Code::NONE {
            row.error(reply.code.text());
        }
    }

    /// A command is done with whose reply was not seen: it is taken to have succeeded.
    #[cold]
    fn finish_unseen(&mut self, waiting: &Waiting, rows: &mut Emit<'_, Exchange>, time_ns: u64) {
        let is_queued = self.transaction.is_some() && waiting.kind.is_queued();
        let reply = Reply { shape: if is_queued { Shape::Queued } else { Shape::Value }, ..Reply::VALUE };
        let mut exchange = waiting.exchange(self.database, Code::NONE);
        self.take_effect(waiting, reply, Outcome::default(), &mut exchange);
        // One that was given up has a row, and there is nothing more to tell.
        if !waiting.began.is_given_up {
            rows.row(waiting.began, time_ns, exchange);
        }
    }

    /// What a command changes for those after it.
    fn take_effect(&mut self, waiting: &Waiting, reply: Reply, outcome: Outcome, exchange: &mut Exchange) {
        let &Waiting { kind, detail, arguments, .. } = waiting;
        let is_done = reply.code == Code::NONE;
        if reply.shape == Shape::Queued && is_done {
            return self.transaction.get_or_insert_default().queue(Change { kind, detail, arguments });
        }
        match kind {
            Kind::Exec => {
                let transaction = self.transaction.take().filter(|_| is_done && reply.shape != Shape::Null);
                if let Some(transaction) = transaction {
                    exchange.batch = transaction.queued;
                    transaction.changes(outcome).for_each(|change| self.change_within(change));
                }
            }
            Kind::Multi if !is_done => self.is_queueing &= self.transaction.is_some(),
            _ if !is_done => {}
            Kind::Multi => self.transaction = Some(Transaction::default()),
            Kind::Discard => self.transaction = None,
            Kind::Select => (self.database, self.transaction) = (detail, None),
            Kind::Monitor => self.is_monitor = true,
            Kind::Reset => {
                (self.database, self.transaction, self.confirmations) = (0, None, 0);
                (self.is_subscribed, self.is_monitor) = (false, false);
            }
            // It ran, so that there is none: what ended it was not seen.
            _ => self.transaction = None,
        }
    }

    /// What a command changes that ran within a transaction.
    fn change_within(&mut self, change: Change) {
        match change.kind {
            Kind::Select => self.database = change.detail,
            Kind::Monitor => self.is_monitor = true,
            // All confirmations are among the results.
            Kind::Subscribe | Kind::Unsubscribe => self.is_subscribed = true,
            Kind::Reply => {
                self.silence = match change.detail {
                    OFF => Silence::On,
                    SKIP if self.silence != Silence::On => Silence::Next,
                    SKIP => self.silence,
                    _ => Silence::Off,
                };
            }
            _ => {}
        }
    }

    /// All that was asked before has been answered, unseen.
    #[cold]
    fn trust(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        (self.doubt, self.was_in_doubt) = (None, true);
        self.confirmations = 0;
        self.replies.lose();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.drain().for_each(|waiting| self.finish_unseen(&waiting, rows, time_ns));
    }

    #[inline]
    fn understood(&mut self) {
        (self.is_sure, self.nonsense) = (true, 0);
    }

    #[cold]
    fn makes_no_sense(&mut self) -> Result<(), Foreign> {
        self.nonsense = self.nonsense.saturating_add(1);
        let most = if self.is_sure { MOST_NONSENSE } else { MOST_NONSENSE_FIRST };
        if self.nonsense < most { Ok(()) } else { Err(Foreign::Whole) }
    }
}

// === impl Waiting ===

impl Waiting {
    #[inline]
    fn exchange(&self, database: u16, code: Code) -> Exchange {
        Exchange { name: self.name, database, arguments: self.arguments, batch: 0, code }
    }
}
