//! What a client waits for, in the order in which it asked.

use std::collections::VecDeque;
use std::rc::Rc;

use plugin_sdk::conversation::Began;
use serde::{Deserialize, Serialize};
use sql::{Operation, Statement};

use crate::names::Name;

/// What a client waits for, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Waits {
    all: VecDeque<Waiting>,
    /// How many of them may change how the server reads texts.
    setting: usize,
}

/// One thing of that. In Wasm it has 64 bytes: what is larger is moved by a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub began: Began,
    pub asked: Asked,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
    pub rows: u32,
    /// Statements that the server has done of it.
    pub done: u32,
    pub code: Option<Box<str>>,
    /// Its row is out already; only its answer is still to come.
    pub is_told: bool,
    /// The server lets the client copy, and waits for the end of that.
    pub is_copying: bool,
    /// What its name stood for before a `Parse`.
    pub undo: Option<Box<Name>>,
}

#[cfg(target_family = "wasm")]
const _: () = assert!(size_of::<Waiting>() <= 64);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// Answered by `ParseComplete`.
    Parse,
    /// Answered by `CommandComplete` or its kind.
    Execute,
    /// Answered by `ReadyForQuery`, after all that was asked before.
    Query,
    /// As a query, but nothing was asked.
    Sync,
    /// The end of what is copied. Never answered; a `Sync` before it is not either, if the server lets the client copy.
    CopyEnd,
    /// Bytes that were not captured.
    Unread(Box<Unread>),
}

/// What is known of what was asked in bytes that were not captured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unread {
    /// How many; 0 of a record that was lost.
    pub bytes: u32,
    /// Statements that were done, as the server says.
    pub answers: u32,
    /// What the first of them did.
    pub operation: Operation,
    /// The error of one of them.
    pub code: Option<Box<str>>,
}

/// Requests that wait for their answers. Over that the oldest is forgotten, and told so: a client that asks and never listens must
/// not fill the memory.
const MOST: usize = 4096;

// === impl Waits ===

impl Waits {
    /// Whether there is no room for another.
    pub(crate) fn is_full(&self) -> bool {
        self.all.len() >= MOST
    }

    /// Adds one.
    #[inline]
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.setting += usize::from(waiting.may_set());
        self.all.push_back(waiting);
    }

    /// More bytes were not captured; whether others are what was asked last, and these were added to them.
    pub(crate) fn add_unread(&mut self, bytes: u32) -> bool {
        let Some(Waiting { asked: Asked::Unread(unread), .. }) = self.all.back_mut() else { return false };
        unread.bytes = unread.bytes.saturating_add(bytes);
        true
    }

    /// Whether the last unit is complete, or may be.
    pub(crate) fn ends_a_unit(&self) -> bool {
        self.all.back().is_none_or(|last| last.asked.ends_a_unit() || matches!(last.asked, Asked::Unread(_)))
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        self.remove(0)
    }

    pub(crate) fn front(&self) -> Option<&Waiting> {
        self.all.front()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut Waiting> {
        self.all.front_mut()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Waiting> {
        self.all.get_mut(index)
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<Waiting> {
        let waiting = if index == 0 { self.all.pop_front() } else { self.all.remove(index) }?;
        self.setting = self.setting.saturating_sub(usize::from(waiting.may_set()));
        Some(waiting)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Waiting> {
        self.all.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Waiting> {
        self.all.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.all.capacity() * size_of::<Waiting>()
    }

    /// Whether something of it may change how the server reads texts.
    pub(crate) const fn may_set(&self) -> bool {
        self.setting > 0
    }

    /// Where the first unit ends that was followed by a later one, and when that was asked.
    pub(crate) fn asked_again(&self) -> Option<(usize, u64)> {
        let end = self.all.iter().position(|waiting| waiting.asked.ends_a_unit())?;
        let last_ns = self.all.get(end)?.began.time_ns;
        let asked_ns = self.all.get(end + 1)?.began.time_ns;
        (asked_ns != last_ns).then_some((end, asked_ns))
    }

    /// Things that the server answers with nothing, and what it has answered unseen, make room for the statement at the front.
    pub(crate) fn skip(&mut self, is_skipped: impl Fn(&Asked) -> bool) {
        while self.all.front().is_some_and(|waiting| is_skipped(&waiting.asked)) {
            self.pop();
        }
    }
}

// === impl Waits: copying ===

impl Waits {
    /// Whether the server waits for the end of what is copied.
    pub(crate) fn is_copying(&self) -> bool {
        self.all.front().is_some_and(|waiting| waiting.is_copying)
    }

    /// The server lets the client copy for the statement at the front. All `Sync` up to the end of that, which may have been sent
    /// already, are read and forgotten.
    pub(crate) fn begin_copy(&mut self) {
        self.skip(|asked| matches!(asked, Asked::Parse | Asked::CopyEnd));
        let Some(front) = self.all.front_mut().filter(|front| front.asked.is_executed()) else { return };
        front.is_copying = true;
        let end = self.all.iter().position(|waiting| waiting.asked == Asked::CopyEnd);
        let mut index = 1;
        let mut left = end.unwrap_or(self.all.len());
        while index < left {
            if self.all.get(index).is_some_and(|waiting| waiting.asked == Asked::Sync) {
                self.remove(index);
                left -= 1;
            } else {
                index += 1;
            }
        }
        if end.is_some() {
            self.remove(left);
            self.stop_copy();
        }
    }

    /// The client is done with copying.
    pub(crate) fn end_copy(&mut self, began: Began) {
        if self.is_copying() {
            self.stop_copy();
        } else if self.all.iter().any(|waiting| waiting.asked.is_executed()) && self.all.len() < MOST {
            self.all.push_back(Waiting::new(began, Asked::CopyEnd, None, None));
        }
    }

    pub(crate) fn stop_copy(&mut self) {
        if let Some(front) = self.all.front_mut() {
            front.is_copying = false;
        }
    }
}

// === impl Asked ===

impl Asked {
    /// Whether it is a statement.
    pub(crate) const fn is_executed(&self) -> bool {
        matches!(self, Self::Execute | Self::Query)
    }

    /// Whether the server says that it is ready once this is done.
    pub(crate) const fn ends_a_unit(&self) -> bool {
        matches!(self, Self::Query | Self::Sync)
    }
}

// === impl Waiting ===

impl Waiting {
    pub(crate) const fn new(began: Began, asked: Asked, statement: Option<Rc<Statement>>, parent: Option<Box<str>>) -> Self {
        Self { began, asked, statement, parent, rows: 0, done: 0, code: None, is_told: false, is_copying: false, undo: None }
    }

    /// Whether it may change how the server reads texts.
    fn may_set(&self) -> bool {
        match &self.asked {
            Asked::Execute | Asked::Query => self.statement.as_ref().is_none_or(|statement| statement.may_set),
            Asked::Unread(_) => true,
            Asked::Parse | Asked::Sync | Asked::CopyEnd => false,
        }
    }

    /// What is to be told of it now; it keeps its place, because its answer may still come.
    pub(crate) fn take(&mut self) -> Self {
        let mut taken = Self::new(self.began, self.asked.clone(), self.statement.clone(), self.parent.take());
        (taken.rows, taken.done) = (self.rows, self.done);
        taken.is_told = std::mem::replace(&mut self.is_told, true);
        taken
    }
}
