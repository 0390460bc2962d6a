//! What the answers of servers do to what waits for them.

use std::rc::Rc;

use plugin_sdk::conversation::Emit;
use sql::Exchange;

use crate::message::{operation, returned_rows};
use crate::session::{ABORTED, Session};
use crate::waiting::{Asked, Waiting};

// === impl Session: what servers answer ===

impl Session {
    /// A statement was prepared.
    pub(crate) fn parsed(&mut self) {
        self.waiting.skip(|asked| *asked == Asked::CopyEnd);
        if self.waiting.front().is_some_and(|front| front.asked == Asked::Parse) {
            self.waiting.pop();
        }
    }

    /// The client may copy into a table.
    pub(crate) fn copy_in(&mut self) {
        self.waiting.begin_copy();
    }

    /// A statement is done. The `tag` of a `CommandComplete` says what it did, and how many rows it returned; it is empty where the
    /// server says no more.
    pub(crate) fn complete(&mut self, tag: &[u8], time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let returned = returned_rows(tag);
        let has_missed = self.client.has_missed;
        // Nothing is done for a `Sync`: if all was seen, this one is one that the server has not answered.
        self.waiting.skip(|asked| matches!(asked, Asked::Parse | Asked::CopyEnd) || (*asked == Asked::Sync && !has_missed));
        let Some(front) = self.waiting.front_mut() else {
            if has_missed {
                self.complete_half(time_ns, returned, None, rows);
            }
            return;
        };
        match &mut front.asked {
            Asked::Execute => {
                front.rows = returned;
                self.pop(time_ns, "", rows);
            }
            Asked::Query => {
                front.rows = front.rows.saturating_add(returned);
                front.done = front.done.saturating_add(1);
                front.is_copying = false;
            }
            Asked::Unread(unread) if self.half.statement.is_none() => {
                unread.answers = unread.answers.saturating_add(1);
                if unread.answers == 1 {
                    unread.operation = operation(tag);
                }
            }
            _ if has_missed => self.complete_half(time_ns, returned, None, rows),
            _ => {}
        }
    }

    /// Something failed.
    pub(crate) fn fail(&mut self, code: Option<&str>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let code: Box<str> = Box::from(code.unwrap_or("_OTHER"));
        self.waiting.skip(|asked| *asked == Asked::CopyEnd);
        let Some(front) = self.waiting.front_mut() else {
            self.is_aborting = self.half.statement.is_some();
            return self.complete_half(time_ns, 0, Some(code), rows);
        };
        match &mut front.asked {
            Asked::Parse => {
                self.is_aborting = true;
                self.fail_parse(code, time_ns, rows);
            }
            Asked::Execute => {
                front.code = Some(code);
                self.pop(time_ns, "", rows);
                self.is_aborting = true;
            }
            Asked::Unread(_) if self.half.statement.is_some() => {
                self.is_aborting = true;
                self.complete_half(time_ns, 0, Some(code), rows);
            }
            Asked::Unread(unread) => unread.code = Some(code),
            Asked::Query => {
                front.code = Some(code);
                front.is_copying = false;
            }
            // What was to be bound or described before it, or what is checked at the end of a transaction.
            Asked::Sync => front.code = Some(code),
            Asked::CopyEnd => {}
        }
    }

    /// The `Parse` at the front failed. If what it prepares is executed in the same unit, that fails.
    fn fail_parse(&mut self, code: Box<str>, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        self.undo();
        let Some(mut parse) = self.waiting.pop() else { return };
        let execution = self.waiting.iter().take_while(|waiting| !waiting.asked.ends_a_unit()).position(|waiting| {
            let is_same =
                waiting.statement.as_ref().zip(parse.statement.as_ref()).is_some_and(|(one, other)| Rc::ptr_eq(one, other));
            waiting.asked == Asked::Execute && is_same
        });
        if let Some(execution) = execution.and_then(|index| self.waiting.remove(index)) {
            parse = execution;
        } else {
            // The client asked for no more in this unit: what is half-read of it fails with it.
            self.half = Default::default();
        }
        parse.code = Some(code);
        self.tell(parse, time_ns, "", rows);
    }

    /// What was to be prepared in this unit was not: names stand for what they stood for.
    fn undo(&mut self) {
        let end = self.waiting.iter().position(|waiting| waiting.asked == Asked::Sync).unwrap_or(self.waiting.len());
        let mut undone: Vec<_> = self.waiting.iter_mut().take(end).filter_map(|waiting| waiting.undo.take()).collect();
        while let Some(name) = undone.pop() {
            self.statements.restore(*name);
        }
    }

    /// The server is ready for the next query: all up to the end of the unit is done.
    pub(crate) fn ready(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        let is_aborted = std::mem::take(&mut self.is_aborting);
        let (has_missed, server_missed) = (self.client.has_missed, self.server.has_missed);
        if self.waiting.is_empty() && has_missed && server_missed {
            self.complete_half(time_ns, 0, None, rows);
        }
        if is_aborted {
            self.undo();
        }
        let is_seen = !has_missed && !server_missed && !is_aborted;
        let mut unread: Option<Waiting> = None;
        let mut executed = 0;
        self.waiting.skip(|asked| matches!(asked, Asked::Parse | Asked::CopyEnd));
        while let Some(front) = self.waiting.front() {
            match &front.asked {
                // All queries are answered before the server is ready for another: this answers a `Sync` that it has not forgotten.
                Asked::Query if is_seen && front.done == 0 && front.code.is_none() && !front.is_told => break,
                Asked::Unread(_) => unread = together(unread, self.waiting.pop()),
                Asked::Execute => {
                    executed += 1;
                    self.pop(time_ns, if is_aborted { ABORTED } else { "" }, rows);
                }
                // It was not looked at.
                Asked::Query if is_aborted => self.pop(time_ns, ABORTED, rows),
                Asked::Query | Asked::Sync => {
                    self.pop(time_ns, "", rows);
                    break;
                }
                Asked::Parse | Asked::CopyEnd => drop(self.waiting.pop()),
            }
        }
        if let Some(mut unread) = unread {
            if let Asked::Unread(of) = &mut unread.asked {
                // The rest are answers to what was captured behind it.
                of.answers = of.answers.saturating_sub(executed);
            }
            self.tell(unread, time_ns, "", rows);
        }
        self.modes.may_have_changed = false;
        if self.waiting.is_empty() {
            self.server.has_missed = false;
            self.client.has_missed = false;
        }
    }

    /// From now on both ends stream: what was asked is granted.
    pub(crate) fn stream(&mut self, time_ns: u64, rows: &mut Emit<'_, Exchange>) {
        if let Some(front) = self.waiting.front_mut().filter(|front| front.asked.is_executed()) {
            let granted = front.take();
            self.tell(granted, time_ns, "", rows);
        }
    }

    /// The server answers what it was not seen to be asked for: the `Execute` is among the bytes that are missing.
    fn complete_half(&mut self, time_ns: u64, returned: u32, code: Option<Box<str>>, rows: &mut Emit<'_, Exchange>) {
        let Some(began) = self.half.began.filter(|_| self.half.statement.is_some()) else { return };
        let half = std::mem::take(&mut self.half);
        let waiting = Waiting::new(began, Asked::Execute, half.statement, half.parent);
        self.tell(Waiting { rows: returned, code, ..waiting }, time_ns, "", rows);
    }
}

/// What was not captured in two places of a unit is told as one.
fn together(first: Option<Waiting>, next: Option<Waiting>) -> Option<Waiting> {
    let Some(mut first) = first else { return next };
    if let (Asked::Unread(first), Some(Asked::Unread(next))) = (&mut first.asked, next.map(|next| next.asked)) {
        first.bytes = first.bytes.saturating_add(next.bytes);
        first.answers = first.answers.saturating_add(next.answers);
    }
    Some(first)
}
