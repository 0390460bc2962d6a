//! Requests that wait for their responses, in the order in which they were sent.

use std::collections::VecDeque;
use std::rc::Rc;

use plugin_sdk::conversation::Began;
use serde::{Deserialize, Serialize};
use sql::{Operation, Statement};

use crate::statements::ReplacedName;

/// The requests that wait for their responses, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct WaitQueue {
    all: VecDeque<Waiting>,
    /// Number of requests that may change how the server reads texts.
    setting: usize,
}

/// A request that waits for its response. In Wasm it has 64 bytes: larger ones are moved by a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub began: Began,
    pub request: Request,
    pub statement: Option<Rc<Statement>>,
    pub parent: Option<Box<str>>,
    pub rows: u32,
    /// Number of its statements that the server has completed.
    pub done: u32,
    pub code: Option<Box<str>>,
    /// Whether its row was emitted; only its response is still to come.
    pub is_emitted: bool,
    /// Whether the server accepts a copy, and waits for its end.
    pub is_copying: bool,
    /// The earlier statement of its name, before a `Parse`.
    pub undo: Option<Box<ReplacedName>>,
}

#[cfg(target_family = "wasm")]
const _: () = assert!(size_of::<Waiting>() <= 64);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Answered by `ParseComplete`.
    Parse,
    /// Answered by `CommandComplete` or a similar message.
    Execute,
    /// Answered by `ReadyForQuery`, after all earlier requests.
    Query,
    /// As a query, but without a statement.
    Sync,
    /// The end of a copy. Never answered; a `Sync` before it is not either, if the server accepts the copy.
    CopyEnd,
    /// Bytes that were not captured.
    Unread(Box<Unread>),
}

/// Facts about requests in bytes that were not captured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unread {
    /// Number of bytes; 0 for a record that was lost.
    pub bytes: u32,
    /// Number of statements that the server has reported as complete.
    pub answers: u32,
    /// Operation of the first of them.
    pub operation: Operation,
    /// The error of one of them.
    pub code: Option<Box<str>>,
}

/// Maximum number of waiting requests. Above it the oldest is dropped, with a row: a client that sends and never reads must not fill the
/// memory.
const MAX_WAITING: usize = 4096;

// === impl WaitQueue ===

impl WaitQueue {
    /// Whether the maximum is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.all.len() >= MAX_WAITING
    }

    /// Adds a request.
    #[inline]
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.setting += usize::from(waiting.may_set());
        self.all.push_back(waiting);
    }

    /// Adds bytes that were not captured to the last request if it is of this kind; returns whether it is.
    pub(crate) fn add_unread(&mut self, bytes: u32) -> bool {
        let Some(Waiting { request: Request::Unread(unread), .. }) = self.all.back_mut() else { return false };
        unread.bytes = unread.bytes.saturating_add(bytes);
        true
    }

    /// Whether the last unit is complete, or may be.
    pub(crate) fn ends_a_unit(&self) -> bool {
        self.all.back().is_none_or(|last| last.request.ends_a_unit() || matches!(last.request, Request::Unread(_)))
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

    /// Returns the number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.all.capacity() * size_of::<Waiting>()
    }

    /// Whether a waiting request may change how the server reads texts.
    pub(crate) const fn may_set(&self) -> bool {
        self.setting > 0
    }

    /// Returns the end of the first unit that was followed by a later one, and the time of that one.
    pub(crate) fn asked_again(&self) -> Option<(usize, u64)> {
        let end = self.all.iter().position(|waiting| waiting.request.ends_a_unit())?;
        let last_ns = self.all.get(end)?.began.time_ns;
        let asked_ns = self.all.get(end + 1)?.began.time_ns;
        (asked_ns != last_ns).then_some((end, asked_ns))
    }

    /// Removes from the front the requests that the server does not answer, or has answered unseen, up to the next statement.
    pub(crate) fn skip(&mut self, is_skipped: impl Fn(&Request) -> bool) {
        while self.all.front().is_some_and(|waiting| is_skipped(&waiting.request)) {
            self.pop();
        }
    }
}

// === impl WaitQueue: copying ===

impl WaitQueue {
    /// Whether the server waits for the end of a copy.
    pub(crate) fn is_copying(&self) -> bool {
        self.all.front().is_some_and(|waiting| waiting.is_copying)
    }

    /// Begins the copy of the statement at the front. All `Sync` up to the end of the copy, which may already have been sent, are read and
    /// dropped.
    pub(crate) fn begin_copy(&mut self) {
        self.skip(|request| matches!(request, Request::Parse | Request::CopyEnd));
        let Some(front) = self.all.front_mut().filter(|front| front.request.is_executed()) else { return };
        front.is_copying = true;
        let end = self.all.iter().position(|waiting| waiting.request == Request::CopyEnd);
        let mut index = 1;
        let mut left = end.unwrap_or(self.all.len());
        while index < left {
            if self.all.get(index).is_some_and(|waiting| waiting.request == Request::Sync) {
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

    /// Ends the copy of the statement at the front.
    pub(crate) fn end_copy(&mut self, began: Began) {
        if self.is_copying() {
            self.stop_copy();
        } else if self.all.iter().any(|waiting| waiting.request.is_executed()) && self.all.len() < MAX_WAITING {
            self.all.push_back(Waiting::new(began, Request::CopyEnd, None, None));
        }
    }

    pub(crate) fn stop_copy(&mut self) {
        if let Some(front) = self.all.front_mut() {
            front.is_copying = false;
        }
    }
}

// === impl Request ===

impl Request {
    /// Whether it is a statement.
    pub(crate) const fn is_executed(&self) -> bool {
        matches!(self, Self::Execute | Self::Query)
    }

    /// Whether the server reports that it is ready once this is complete.
    pub(crate) const fn ends_a_unit(&self) -> bool {
        matches!(self, Self::Query | Self::Sync)
    }
}

// === impl Waiting ===

impl Waiting {
    pub(crate) const fn new(
        began: Began,
        request: Request,
        statement: Option<Rc<Statement>>,
        parent: Option<Box<str>>,
    ) -> Self {
        Self {
            began,
            request,
            statement,
            parent,
            rows: 0,
            done: 0,
            code: None,
            is_emitted: false,
            is_copying: false,
            undo: None,
        }
    }

    /// Whether the request may change how the server reads texts.
    fn may_set(&self) -> bool {
        match &self.request {
            Request::Execute | Request::Query => self.statement.as_ref().is_none_or(|statement| statement.may_set),
            Request::Unread(_) => true,
            Request::Parse | Request::Sync | Request::CopyEnd => false,
        }
    }

    /// Takes the data of its row; the request stays, because its response may still come.
    pub(crate) fn take(&mut self) -> Self {
        let mut taken = Self::new(self.began, self.request.clone(), self.statement.clone(), self.parent.take());
        (taken.rows, taken.done) = (self.rows, self.done);
        taken.is_emitted = std::mem::replace(&mut self.is_emitted, true);
        taken
    }
}
