//! Matches replies to commands.

use plugin_sdk::conversation::{Data, Emit, Ending, Foreign, Kind as Side, Sender};

use crate::attributes::Exchange;
use crate::connection::{Connection, Silence};
use crate::line::Malformed;
use crate::reply::{Replies, Reply, Shape};
use crate::request::Command;
use crate::transaction::Outcome;
use crate::vocabulary::{Code, Kind, Vocabulary};
use crate::waiting::{EarlyReply, Waiting};

/// Maximum time by which a reply may precede its command: from the end of a call to its record.
const EARLY_NS: u64 = 1_000_000;
/// Silence of the server after which no more replies are expected.
const SETTLED_NS: u64 = 1_000_000_000;

// === impl Connection ===

impl Connection {
    /// Reads the client's bytes; returns how many bytes are consumed.
    pub(crate) fn read_commands(
        &mut self,
        words: &Vocabulary,
        data: &Data<'_>,
        rows: &mut Emit<'_, Exchange>,
    ) -> Result<usize, Foreign> {
        let all = data.bytes.len() + data.missing as usize;
        if let Some(time_ns) = self.answered_ns.take()
            && self.gap.is_some()
        {
            self.close_answered(time_ns, rows);
        }
        self.client_end = data.began(data.bytes.len());
        if self.is_stream {
            return Ok(all);
        }
        let mut at = 0;
        loop {
            match self.requests.next(words, data.bytes, &mut at) {
                Ok(Some(command)) => self.add_command(command, data, rows),
                Ok(None) => return Ok(at),
                Err(Malformed) => {
                    self.count_unreadable()?;
                    self.lose_position(Sender::Client);
                    return Ok(all);
                }
            }
        }
    }

    /// Reads the server's bytes; returns how many bytes are consumed.
    pub(crate) fn read_replies(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let all = data.bytes.len() + data.missing as usize;
        self.answered_ns = Some(data.time_ns);
        let has_lost_replies = self.gap.is_some_and(|gap| gap.has_lost_replies);
        if self.is_stream || has_lost_replies && !self.is_resynced(data, rows) {
            return Ok(all);
        }
        if self.waiting.front().is_some_and(|waiting| waiting.kind == Kind::Replicate)
            && !matches!(data.bytes, [b'-' | b'\n', ..])
        {
            self.match_reply(&Reply::VALUE, data.time_ns, rows);
            self.is_stream = true;
            return Ok(all);
        }
        let mut at = 0;
        loop {
            // If the next reply is that to `EXEC`.
            let is_exec = || self.waiting.front().is_some_and(|waiting| waiting.kind == Kind::Exec);
            let exec = self.transaction.as_ref().filter(|_| is_exec());
            match self.replies.next(data.bytes, data.missing as usize, exec, &mut at) {
                Ok(Some(reply)) => self.handle_reply(&reply, data.time_ns, rows),
                Ok(None) => return Ok(at),
                Err(Malformed) => {
                    self.count_unreadable()?;
                    self.lose_position(Sender::Server);
                    return Ok(all);
                }
            }
        }
    }

    /// Whether this call, after missing bytes of the server, has exactly the replies that the client waits for. A client that does not
    /// pipeline has sent its last commands after the others were answered, and gets as many replies, from first to last byte of a call.
    #[cold]
    fn is_resynced(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> bool {
        let Some(last_ns) = self.waiting.iter().last().map(|waiting| waiting.began.time_ns) else { return false };
        if self.is_pipelined || !data.call_start || data.missing > 0 {
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
        self.gap = None;
        true
    }

    /// Ends commands without waiting for their replies: the connection ended, or they timed out.
    pub(crate) fn end(&mut self, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        if self.gap.is_some()
            && let Some(time_ns) = self.answered_ns
            && (why.is_final() || why.time_ns().saturating_sub(time_ns) > SETTLED_NS)
        {
            self.close_answered(time_ns, rows);
        }
        let is_given_up = |waiting: &Waiting| why.gives_up(waiting.began) && (why.is_final() || waiting.kind != Kind::Blocks);
        for waiting in self.waiting.iter_mut().filter(|waiting| is_given_up(waiting)) {
            let mut row = rows.row(waiting.began, why.time_ns(), waiting.exchange(self.database, Code::NONE));
            if waiting.kind != Kind::Ends {
                row.unfinished(why);
            }
            // Its reply may still come.
            waiting.began.is_given_up = true;
        }
    }

    /// Adds a command that waits for its reply.
    #[inline]
    fn add_command(&mut self, command: Command, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        self.confirm();
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
            self.emit_forgotten(&oldest, rows, data.time_ns);
        }
    }

    /// Emits the row of a command that is dropped because the queue is full.
    #[cold]
    fn emit_forgotten(&self, waiting: &Waiting, rows: &mut Emit<'_, Exchange>, time_ns: u64) {
        if !waiting.began.is_given_up {
            rows.row(waiting.began, time_ns, waiting.exchange(self.database, Code::NONE)).forgotten();
        }
    }

    /// Handles a reply, or a message between replies.
    #[inline]
    fn handle_reply(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        self.confirm();
        if reply.shape != Shape::Value && self.is_out_of_band(reply.shape) {
            return;
        }
        self.match_reply(reply, time_ns, rows);
    }

    /// Matches a reply with the oldest waiting command.
    #[inline(always)]
    fn match_reply(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let is_certain = self.gap.is_none_or(|gap| gap.answerable > 0);
        let Some(waiting) = self.waiting.pop() else {
            return self.handle_unmatched(reply, time_ns, rows);
        };
        match &mut self.gap {
            Some(gap) => gap.answerable = gap.answerable.saturating_sub(1),
            None => self.is_pipelined |= self.waiting.front().is_some_and(|next| next.began.time_ns != waiting.began.time_ns),
        }
        if is_certain { self.finish(&waiting, *reply, rows, time_ns) } else { self.finish_unseen(&waiting, rows, time_ns) }
    }

    /// Handles a reply whose command was not seen.
    #[cold]
    fn handle_unmatched(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if let Some(lost) = self.gap.as_mut().and_then(|gap| gap.lost_commands.as_mut()) {
            let began = *lost;
            // Each gets a position of its own within the missing bytes.
            lost.sequence = lost.sequence.wrapping_add(1);
            let exchange = Exchange { database: self.database, ..Exchange::default() };
            rows.row(began, time_ns, exchange);
        } else if rows.kind() == Side::Client && !self.had_gap {
            self.early.push(EarlyReply { time_ns, reply: *reply });
        }
    }

    /// Applies and emits a command that is complete.
    #[inline]
    fn finish(&mut self, waiting: &Waiting, reply: Reply, rows: &mut Emit<'_, Exchange>, time_ns: u64) {
        let mut exchange = waiting.exchange(self.database, reply.code);
        if waiting.kind != Kind::Plain || self.transaction.is_some() || reply.shape == Shape::Queued {
            self.apply(waiting, reply, self.replies.outcome(), &mut exchange);
        }
        let mut row = rows.row(waiting.began, time_ns, exchange);
        if reply.code != Code::NONE {
            row.error(reply.code.text());
        }
    }

    /// Applies and emits a command whose reply was not seen: it is assumed to have succeeded.
    #[cold]
    fn finish_unseen(&mut self, waiting: &Waiting, rows: &mut Emit<'_, Exchange>, time_ns: u64) {
        let is_queued = self.transaction.is_some() && waiting.kind.is_queued();
        let reply = Reply { shape: if is_queued { Shape::Queued } else { Shape::Value }, ..Reply::VALUE };
        let mut exchange = waiting.exchange(self.database, Code::NONE);
        self.apply(waiting, reply, Outcome::default(), &mut exchange);
        // A command that timed out already has a row, and there is nothing to add to it.
        if !waiting.began.is_given_up {
            rows.row(waiting.began, time_ns, exchange);
        }
    }

    /// Completes all waiting commands: they were answered, but the replies were not seen.
    #[cold]
    fn close_answered(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        (self.gap, self.had_gap) = (None, true);
        self.confirmations = 0;
        self.replies.lose_position();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.drain().for_each(|waiting| self.finish_unseen(&waiting, rows, time_ns));
    }
}
