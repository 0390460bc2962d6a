//! Matches responses to requests, in the order of the requests.

use std::rc::Rc;

use plugin_sdk::conversation::{Began, Emit, Ending};
use sql::{Exchange, Statement};

use crate::attributes::VERSION;
use crate::connection::{Connection, Stage};
use crate::message::{parse_operation, parse_returned_rows};
use crate::waiting::{Request, Unread, Waiting};

/// `error.type` of statements that were not executed because an earlier one failed.
pub(crate) const ABORTED: &str = "aborted";

// === impl Connection: requests of clients ===

impl Connection {
    pub(crate) fn add_query(
        &mut self,
        began: Began,
        statement: Rc<Statement>,
        parent: Option<&str>,
        rows: &mut Emit<'_, Exchange>,
    ) {
        self.add_request(Waiting::new(began, Request::Query, Some(statement), parent.map(Box::from)), rows);
    }

    pub(crate) fn add_parse(&mut self, began: Began, name: &[u8], statement: Rc<Statement>, rows: &mut Emit<'_, Exchange>) {
        let undo = self.statements.put(name, Rc::clone(&statement)).map(Box::new);
        let parent = self.next_execution.parent.clone();
        self.add_request(Waiting { undo, ..Waiting::new(began, Request::Parse, Some(statement), parent) }, rows);
    }

    pub(crate) fn add_execute(&mut self, began: Began, portal: &[u8], rows: &mut Emit<'_, Exchange>) {
        let next_execution = std::mem::take(&mut self.next_execution);
        let statement = self.portals.get(portal);
        self.add_request(
            Waiting::new(next_execution.began.unwrap_or(began), Request::Execute, statement, next_execution.parent),
            rows,
        );
    }

    /// Adds a `Sync`. While the client copies into a table, the server waits for the end of the copy, and answers none.
    pub(crate) fn add_sync(&mut self, began: Began, rows: &mut Emit<'_, Exchange>) {
        if self.waiting.is_copying() {
            return;
        }
        let next_execution = std::mem::take(&mut self.next_execution);
        self.add_request(
            Waiting::new(next_execution.began.unwrap_or(began), Request::Sync, next_execution.statement, next_execution.parent),
            rows,
        );
    }

    /// Ends a copy: the client has copied all rows, or aborts. If the server's consent was not seen yet, the end is remembered.
    pub(crate) fn end_copy(&mut self, began: Began) {
        self.waiting.end_copy(began);
    }

    #[inline]
    fn add_request(&mut self, waiting: Waiting, rows: &mut Emit<'_, Exchange>) {
        if self.waiting.is_full() {
            self.forget_oldest(waiting.began.time_ns, rows);
        }
        self.waiting.push(waiting);
    }

    /// Adds bytes of the client that were not captured: the requests in them are known by their responses alone.
    pub(crate) fn add_unread(&mut self, began: Began, bytes: u32, rows: &mut Emit<'_, Exchange>) {
        if self.is_confirmed && self.stage == Stage::Open && !self.waiting.is_copying() && !self.waiting.add_unread(bytes) {
            self.add_request(
                Waiting::new(began, Request::Unread(Box::new(Unread { bytes, ..Unread::default() })), None, None),
                rows,
            );
        }
    }

    /// Completes the earlier requests of the client if responses are missing: a client that sends a new request has read them.
    pub(crate) fn close_answered(&mut self, rows: &mut Emit<'_, Exchange>) {
        // A request of the same unit as those before it is not a new one.
        if !self.server.has_gap || !self.waiting.ends_a_unit() {
            return;
        }
        while self.waiting.front().is_some_and(|waiting| waiting.began.time_ns < self.answered_ns) {
            self.finish_front(self.answered_ns, "", rows);
        }
        self.server.has_gap = false;
    }

    /// Completes the requests that were answered in a lost record of the server: those that the client has followed with another request.
    pub(crate) fn close_asked_again(&mut self, rows: &mut Emit<'_, Exchange>) {
        while let Some((end, asked_ns)) = self.waiting.asked_again() {
            (0..=end).for_each(|_| self.finish_front(asked_ns, "", rows));
        }
    }
}

// === impl Connection: responses of servers ===

impl Connection {
    /// Handles `ParseComplete`: a statement was prepared.
    pub(crate) fn handle_parse_complete(&mut self) {
        self.waiting.skip(|request| *request == Request::CopyEnd);
        if self.waiting.front().is_some_and(|front| front.request == Request::Parse) {
            self.waiting.pop();
        }
    }

    /// Handles `CopyInResponse`: the client may copy into a table.
    pub(crate) fn handle_copy_in(&mut self) {
        self.waiting.begin_copy();
    }

    /// Handles the end of a statement. The `tag` of a `CommandComplete` names the operation and the number of rows; it is empty if the
    /// server reports neither.
    pub(crate) fn handle_command_complete(&mut self, tag: &[u8], time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let returned = parse_returned_rows(tag);
        let has_gap = self.client.has_gap;
        // A `Sync` executes nothing: if all bytes were seen, the server has not answered this one.
        self.waiting
            .skip(|request| matches!(request, Request::Parse | Request::CopyEnd) || (*request == Request::Sync && !has_gap));
        let Some(front) = self.waiting.front_mut() else {
            if has_gap {
                self.complete_unseen_execute(time_ns, returned, None, rows);
            }
            return;
        };
        match &mut front.request {
            Request::Execute => {
                front.rows = returned;
                self.finish_front(time_ns, "", rows);
            }
            Request::Query => {
                front.rows = front.rows.saturating_add(returned);
                front.done = front.done.saturating_add(1);
                front.is_copying = false;
            }
            Request::Unread(unread) if self.next_execution.statement.is_none() => {
                unread.answers = unread.answers.saturating_add(1);
                if unread.answers == 1 {
                    unread.operation = parse_operation(tag);
                }
            }
            _ if has_gap => self.complete_unseen_execute(time_ns, returned, None, rows),
            _ => {}
        }
    }

    /// Handles `ErrorResponse`.
    pub(crate) fn handle_error(&mut self, code: Option<&str>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let code: Box<str> = Box::from(code.unwrap_or("_OTHER"));
        self.waiting.skip(|request| *request == Request::CopyEnd);
        let Some(front) = self.waiting.front_mut() else {
            self.is_aborting = self.next_execution.statement.is_some();
            return self.complete_unseen_execute(time_ns, 0, Some(code), rows);
        };
        match &mut front.request {
            Request::Parse => {
                self.is_aborting = true;
                self.fail_parse(code, time_ns, rows);
            }
            Request::Execute => {
                front.code = Some(code);
                self.finish_front(time_ns, "", rows);
                self.is_aborting = true;
            }
            Request::Unread(_) if self.next_execution.statement.is_some() => {
                self.is_aborting = true;
                self.complete_unseen_execute(time_ns, 0, Some(code), rows);
            }
            Request::Unread(unread) => unread.code = Some(code),
            Request::Query => {
                front.code = Some(code);
                front.is_copying = false;
            }
            // A failed bind or describe before it, or a check at the end of a transaction.
            Request::Sync => front.code = Some(code),
            Request::CopyEnd => {}
        }
    }

    /// Fails the `Parse` at the front. If its statement is executed in the same unit, that execution fails.
    fn fail_parse(&mut self, code: Box<str>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        self.undo();
        let Some(mut parse) = self.waiting.pop() else { return };
        let execution = self.waiting.iter().take_while(|waiting| !waiting.request.ends_a_unit()).position(|waiting| {
            let is_same =
                waiting.statement.as_ref().zip(parse.statement.as_ref()).is_some_and(|(one, other)| Rc::ptr_eq(one, other));
            waiting.request == Request::Execute && is_same
        });
        if let Some(execution) = execution.and_then(|index| self.waiting.remove(index)) {
            parse = execution;
        } else {
            // The client sent no more in this unit: an execution of which only a part was read fails with it.
            self.next_execution = Default::default();
        }
        parse.code = Some(code);
        self.emit(parse, time_ns, "", rows);
    }

    /// Undoes the preparations of this unit: names have their earlier statements again.
    fn undo(&mut self) {
        let end = self.waiting.iter().position(|waiting| waiting.request == Request::Sync).unwrap_or(self.waiting.len());
        let mut undone: Vec<_> = self.waiting.iter_mut().take(end).filter_map(|waiting| waiting.undo.take()).collect();
        while let Some(name) = undone.pop() {
            self.statements.restore(*name);
        }
    }

    /// Handles `ReadyForQuery`: all requests up to the end of the unit are complete.
    pub(crate) fn handle_ready(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let is_aborted = std::mem::take(&mut self.is_aborting);
        let (has_gap, server_missed) = (self.client.has_gap, self.server.has_gap);
        if self.waiting.is_empty() && has_gap && server_missed {
            self.complete_unseen_execute(time_ns, 0, None, rows);
        }
        if is_aborted {
            self.undo();
        }
        let is_seen = !has_gap && !server_missed && !is_aborted;
        let mut unread: Option<Waiting> = None;
        let mut executed = 0;
        self.waiting.skip(|request| matches!(request, Request::Parse | Request::CopyEnd));
        while let Some(front) = self.waiting.front() {
            match &front.request {
                // All queries are answered before the server is ready for another, so this answers a `Sync` that the server has not
                // skipped.
                Request::Query if is_seen && front.done == 0 && front.code.is_none() && !front.is_emitted => break,
                Request::Unread(_) => unread = merge_unread(unread, self.waiting.pop()),
                Request::Execute => {
                    executed += 1;
                    self.finish_front(time_ns, if is_aborted { ABORTED } else { "" }, rows);
                }
                // The server skipped it.
                Request::Query if is_aborted => self.finish_front(time_ns, ABORTED, rows),
                Request::Query | Request::Sync => {
                    self.finish_front(time_ns, "", rows);
                    break;
                }
                Request::Parse | Request::CopyEnd => drop(self.waiting.pop()),
            }
        }
        if let Some(mut unread) = unread {
            if let Request::Unread(of) = &mut unread.request {
                // The other responses belong to bytes that were captured behind it.
                of.answers = of.answers.saturating_sub(executed);
            }
            self.emit(unread, time_ns, "", rows);
        }
        self.modes.may_have_changed = false;
        if self.waiting.is_empty() {
            self.server.has_gap = false;
            self.client.has_gap = false;
        }
    }

    /// Handles `CopyBothResponse`: the request is granted, and both ends stream from now on.
    pub(crate) fn handle_copy_both(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if let Some(front) = self.waiting.front_mut().filter(|front| front.request.is_executed()) {
            let granted = front.take();
            self.emit(granted, time_ns, "", rows);
        }
    }

    /// Completes an execution whose `Execute` is among the missing bytes.
    fn complete_unseen_execute(&mut self, time_ns: u64, returned: u32, code: Option<Box<str>>, rows: &mut Emit<'_, Exchange>) {
        let Some(began) = self.next_execution.began.filter(|_| self.next_execution.statement.is_some()) else { return };
        let next_execution = std::mem::take(&mut self.next_execution);
        let waiting = Waiting::new(began, Request::Execute, next_execution.statement, next_execution.parent);
        self.emit(Waiting { rows: returned, code, ..waiting }, time_ns, "", rows);
    }
}

// === impl Connection: ends of requests ===

impl Connection {
    pub(crate) fn finish_front(&mut self, time_ns: u64, error: &str, rows: &mut Emit<'_, Exchange>) {
        if let Some(waiting) = self.waiting.pop() {
            self.emit(waiting, time_ns, error, rows);
        }
    }

    /// Drops the oldest waiting request, because the queue is full.
    #[cold]
    fn forget_oldest(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let Some(waiting) = self.waiting.pop() else { return };
        if !waiting.request.is_executed() {
            self.emit(waiting, time_ns, "", rows);
        } else if !waiting.is_emitted && !waiting.began.is_given_up {
            let mut row = self.exchange(waiting.statement, waiting.code).row(waiting.began, time_ns, rows);
            row.forgotten().protocol_version(VERSION).trace_parent(waiting.parent.as_deref().unwrap_or_default().as_bytes());
        }
    }

    /// Ends requests without waiting for their responses. Those that are not over stay, because their responses may still come.
    pub(crate) fn give_up(&mut self, why: &Ending, rows: &mut Emit<'_, Exchange>) {
        for index in 0..self.waiting.len() {
            let was_answered = |began: Began| self.server.has_gap && began.time_ns < self.answered_ns;
            let Some(waiting) = self.waiting.get_mut(index).filter(|waiting| why.gives_up(waiting.began)) else { continue };
            if !waiting.request.is_executed() && !why.is_final() {
                continue;
            }
            let began = waiting.began;
            waiting.began.is_given_up = true;
            if waiting.is_emitted {
                continue;
            }
            if !waiting.request.is_executed() || waiting.code.is_some() || was_answered(began) {
                let code = waiting.code.take();
                let ended = Waiting { began, code, ..waiting.take() };
                self.emit(ended, self.answered_ns, "", rows);
            } else {
                let (statement, parent) = (waiting.statement.clone(), waiting.parent.clone());
                let mut row = self.exchange(statement, None).row(began, why.time_ns(), rows);
                row.unfinished(why).protocol_version(VERSION).trace_parent(parent.as_deref().unwrap_or_default().as_bytes());
            }
        }
        if why.is_final() {
            *self = Self::default();
        }
    }
}

/// Merges two gaps of a unit into one.
fn merge_unread(first: Option<Waiting>, next: Option<Waiting>) -> Option<Waiting> {
    let Some(mut first) = first else { return next };
    if let (Request::Unread(first), Some(Request::Unread(next))) = (&mut first.request, next.map(|next| next.request)) {
        first.bytes = first.bytes.saturating_add(next.bytes);
        first.answers = first.answers.saturating_add(next.answers);
    }
    Some(first)
}
