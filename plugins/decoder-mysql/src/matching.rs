//! Matches responses to commands, in the order of the commands.

use plugin_sdk::conversation::{Emit, Ending};
use sql::Exchange;

use crate::attributes::VERSION;
use crate::connection::Connection;
use crate::modes::Change;
use crate::vocabulary::PREPARE;
use crate::waiting::{AnswerState, Waiting};

/// Maximum number of waiting commands; the protocol allows one, some drivers send a few ahead.
const MAX_WAITING: usize = 1024;

// === impl Connection ===

impl Connection {
    pub(crate) fn add_request(&mut self, waiting: Waiting, rows: &mut Emit<'_, Exchange>) {
        if self.waiting.len() >= MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.emit_forgotten(oldest, waiting.began.time_ns, rows);
        }
        self.waiting.push_back(waiting);
    }

    /// Completes the earlier commands of the client if responses are missing: a client that sends a new command has read them.
    pub(crate) fn close_answered(&mut self, rows: &mut Emit<'_, Exchange>) {
        let streams = |waiting: &Waiting| waiting.answer_state == AnswerState::Stream;
        let has_gap = std::mem::take(&mut self.server.has_gap);
        while self.waiting.front().is_some_and(|front| streams(front) || (has_gap && front.began.time_ns < self.answered_ns)) {
            self.finish_front(self.answered_ns, rows);
        }
    }

    /// Completes the commands that were answered in a lost record of the server: those that the client has followed with another command.
    pub(crate) fn close_asked_again(&mut self, rows: &mut Emit<'_, Exchange>) {
        while let (Some(first), Some(next)) = (self.waiting.front(), self.waiting.get(1)) {
            let asked_ns = next.began.time_ns;
            if first.began.time_ns == asked_ns {
                break;
            }
            self.finish_front(asked_ns, rows);
        }
    }

    /// Completes the oldest waiting command, which is answered.
    pub(crate) fn finish_front(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let Some(mut waiting) = self.waiting.pop_front() else { return };
        let is_sure = waiting.code.is_none() && !self.server.has_gap;
        self.modes.apply(if is_sure || waiting.change == Change::None { waiting.change } else { Change::Unknown });
        if waiting.is_new_session && waiting.code.is_none() {
            self.statements.clear();
            self.last_prepared = None;
        }
        if waiting.code.is_none() && waiting.database.is_some() {
            self.database = waiting.database.take();
        }
        self.emit(&mut waiting, time_ns, rows);
        if self.waiting.is_empty() {
            self.server.has_gap = false;
            self.client.has_gap = false;
        }
    }

    /// Emits the oldest waiting command as granted: from now on it streams.
    pub(crate) fn emit_granted(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let Some(front) = self.waiting.front_mut() else { return };
        let mut granted = Waiting { statement: front.statement.take(), ..Waiting::new(front.began, front.command) };
        granted.is_emitted = std::mem::replace(&mut front.is_emitted, true);
        self.emit(&mut granted, time_ns, rows);
    }

    /// Ends commands without waiting for their responses. Those that are not over stay, because their responses may still come.
    pub(crate) fn give_up(&mut self, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        for index in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.get_mut(index).filter(|waiting| why.gives_up(waiting.began)) else { continue };
            let began = waiting.began;
            waiting.began.is_given_up = true;
            if waiting.is_emitted || waiting.command == PREPARE {
                continue;
            }
            let was_answered = self.server.has_gap && began.time_ns < self.answered_ns;
            waiting.is_emitted = was_answered;
            let (statement, parent) = (waiting.statement.clone(), waiting.parent.clone());
            let ended_ns = if was_answered { self.answered_ns } else { why.time_ns() };
            let mut row = self.exchange(statement).row(began, ended_ns, rows);
            row.protocol_version(VERSION).trace_parent(parent.as_deref().unwrap_or_default().as_bytes());
            if !was_answered {
                row.unfinished(why);
            }
        }
        if why.is_final() {
            *self = Self::default();
        }
    }
}
