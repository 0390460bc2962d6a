//! Matches replies to commands.

use plugin_sdk::conversation::{Data, Emit, Ending, Foreign, Sender};

use crate::attributes::Exchange;
use crate::connection::Connection;
use crate::line::Malformed;
use crate::reply::{Replies, Reply};
use crate::request::{Command, ReplyMode, Style};
use crate::waiting::Waiting;

/// Silence of the server after which no more replies are expected.
const SETTLED_NS: u64 = 1_000_000_000;
/// Silence after which a quiet command is complete without a reply.
const QUIET_NS: u64 = 30_000_000_000;

// === impl Connection ===

impl Connection {
    /// Reads the client's bytes. Not inlined, like its counterpart: a loop in Wasm is faster the fewer variables are live in it.
    #[inline(never)]
    pub(crate) fn read_commands(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let missing = data.missing as usize;
        if let Some(time_ns) = self.answered_ns.take() {
            if self.gap.is_some() {
                self.close_answered(time_ns, rows);
            }
            // Quiet commands whose reply would have come by now, if there were one.
            while self.waiting.front().is_some_and(|waiting| waiting.answer == ReplyMode::Unusual) {
                self.waiting.pop().into_iter().for_each(|waiting| emit(&waiting, None, time_ns, rows));
            }
        }
        self.client_end = data.began(data.bytes.len());
        let mut at = 0;
        loop {
            match self.requests.next(data.bytes, missing, &mut at) {
                Ok(Some(command)) => self.add_command(command, data, rows),
                Ok(None) => return Ok(at),
                Err(Malformed) => {
                    self.count_unreadable()?;
                    self.lose_position(Sender::Client);
                    return Ok(data.bytes.len() + missing);
                }
            }
        }
    }

    /// Reads the server's bytes; returns how many bytes are consumed.
    #[inline(never)]
    pub(crate) fn read_replies(&mut self, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) -> Result<usize, Foreign> {
        let missing = data.missing as usize;
        let all = data.bytes.len() + missing;
        self.answered_ns = Some(data.time_ns);
        let has_lost_replies = self.gap.is_some_and(|gap| gap.has_lost_replies);
        if self.is_log || has_lost_replies && !self.is_resynced(data, rows) {
            return Ok(all);
        }
        let mut at = 0;
        loop {
            match self.replies.next(data.bytes, missing, &mut at) {
                Ok(Some(reply)) => self.match_reply(&reply, data.time_ns, rows),
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
        while heard <= asked && matches!(replies.next(data.bytes, 0, &mut at), Ok(Some(_))) {
            heard += 1;
        }
        if heard != asked || at != data.bytes.len() {
            return false;
        }
        while self.waiting.len() > asked {
            if let Some(waiting) = self.waiting.pop() {
                emit(&waiting, None, data.time_ns, rows);
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
        let is_quiet_over = why.is_final() || why.silence_ns() > QUIET_NS;
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.began.is_given_up) {
            match waiting.answer {
                ReplyMode::Unusual if is_quiet_over => emit(waiting, None, waiting.began.time_ns, rows),
                ReplyMode::Always if why.gives_up(waiting.began) => {
                    rows.row(waiting.began, why.time_ns(), waiting.exchange(None)).unfinished(why);
                }
                _ => continue,
            }
            waiting.began.is_given_up = true;
        }
    }

    /// Adds a command that waits for its reply.
    #[inline]
    fn add_command(&mut self, command: Command, data: &Data<'_>, rows: &mut Emit<'_, Exchange>) {
        (self.is_confirmed, self.unreadable) = (true, 0);
        let Command { start, name, keys, style, answer, creates, opaque } = command;
        let waiting = Waiting { began: data.began(start), opaque, keys, name, style, answer, creates };
        if answer == ReplyMode::Never {
            return emit(&waiting, None, waiting.began.time_ns, rows);
        }
        if let Some(oldest) = self.waiting.push(waiting) {
            emit_forgotten(&oldest, data.time_ns, rows);
        }
    }

    /// Matches a reply with its command.
    #[inline]
    fn match_reply(&mut self, reply: &Reply, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        (self.is_confirmed, self.unreadable) = (true, 0);
        let is_certain = self.gap.is_none_or(|gap| gap.answerable > 0);
        if reply.style == Style::Meta && self.is_unmatched(reply) {
            return;
        }
        while let Some(waiting) = self.waiting.pop() {
            match &mut self.gap {
                Some(gap) => gap.answerable = gap.answerable.saturating_sub(1),
                None => {
                    self.is_pipelined |= self.waiting.front().is_some_and(|next| next.began.time_ns != waiting.began.time_ns)
                }
            }
            let gets = match waiting.answer {
                ReplyMode::Unusual => waiting.accepts_unusual(reply),
                _ => waiting.accepts(reply),
            };
            if is_certain && !gets {
                emit(&waiting, None, time_ns, rows);
                continue;
            }
            self.is_log |= waiting.name.text() == "watch" && reply.code.text() == "OK";
            return emit(&waiting, is_certain.then_some(reply), time_ns, rows);
        }
        if let Some(lost) = self.gap.as_mut().and_then(|gap| gap.lost_commands.as_mut()) {
            rows.row(*lost, time_ns, Exchange::default());
            // Each gets a position of its own within the missing bytes.
            lost.sequence = lost.sequence.wrapping_add(1);
        }
    }

    /// Whether no waiting command can have this reply, because an error, or a quiet command, was matched with the wrong one.
    fn is_unmatched(&self, reply: &Reply) -> bool {
        let is_its = |waiting: &Waiting| match waiting.answer {
            ReplyMode::Unusual => waiting.accepts_unusual(reply),
            _ => waiting.accepts(reply),
        };
        self.gap.is_none() && !self.waiting.front().is_some_and(is_its) && !self.waiting.iter().any(is_its)
    }

    /// Completes all waiting commands: they were answered, but the replies were not seen.
    #[cold]
    fn close_answered(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        self.gap = None;
        self.replies.lose_position();
        self.waiting.drain().for_each(|waiting| emit(&waiting, None, time_ns, rows));
    }
}

/// Emits the row of a command that is dropped because the queue is full.
#[cold]
fn emit_forgotten(waiting: &Waiting, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    match waiting.answer {
        ReplyMode::Always if !waiting.began.is_given_up => {
            rows.row(waiting.began, time_ns, waiting.exchange(None)).forgotten();
        }
        ReplyMode::Always => {}
        // Most quiet commands get no reply.
        _ => emit(waiting, None, time_ns, rows),
    }
}

/// Emits the row of a completed command; without a reply its outcome is unknown.
#[inline]
fn emit(waiting: &Waiting, reply: Option<&Reply>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
    if reply.is_none() && waiting.began.is_given_up {
        // The row was already emitted.
        return;
    }
    let exchange = waiting.exchange(reply);
    let mut row = rows.row(waiting.began, time_ns, exchange);
    if exchange.code.is_error() {
        row.error(exchange.code.text());
    }
}
