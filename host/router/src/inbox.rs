//! Messages of the lanes to the router, about conversations that their decoders reject.
//!
//! Giving one back takes three messages. The lane says that it is disowned, and takes it out of what it reads from then on. The
//! router stops handing its records over, keeps those that come, and tells the lane so, behind the last one that it handed over. When
//! the lane has read that far, it returns what it took out: nothing is lost between the two, however much was under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host_model::{Condvar, Lock, Waker};

use crate::record::Key;

/// Messages from all lanes to the router.
pub(crate) struct Inbox {
    messages: Lock<Messages>,
    arrived: Condvar,
    /// Whether there are messages, so that a look costs one load.
    some: AtomicBool,
    /// The waker of the router.
    waker: Arc<dyn Waker>,
}

#[derive(Default)]
struct Messages {
    waiting: Vec<Message>,
    /// Whether the router has ended.
    closed: bool,
}

/// The identity of a lane, whose number may be another's later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) lane: usize,
    pub(crate) serial: u32,
}

/// A message of a lane.
#[derive(Debug)]
pub(crate) enum Message {
    /// Its decoder disowns this conversation; since its beginning, if it is `whole`.
    Disowned { ticket: Ticket, key: Key, whole: bool },
    /// All that it was handed of it and that belongs to another decoder.
    Returned { ticket: Ticket, key: Key, returned: Returned },
}

/// Records that a lane gives back.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    /// As in a run.
    pub(crate) bytes: Vec<u8>,
    /// How many they are.
    pub(crate) records: u64,
    /// Records for which there was no room.
    pub(crate) lost: u64,
}

// === impl Inbox ===

impl Inbox {
    pub(crate) fn new(waker: Arc<dyn Waker>) -> Self {
        Self { messages: Lock::default(), arrived: Condvar::new(), some: AtomicBool::new(false), waker }
    }

    /// Sends messages. Returns whether the router takes them.
    pub(crate) fn send(&self, messages: impl IntoIterator<Item = Message>) -> bool {
        let mut all = self.messages.lock();
        if all.closed {
            return false;
        }
        all.waiting.extend(messages);
        self.some.store(true, Ordering::Release);
        drop(all);
        self.arrived.notify_all();
        self.waker.wake();
        true
    }

    /// Whether there are messages.
    pub(crate) fn has_some(&self) -> bool {
        self.some.load(Ordering::Acquire)
    }

    /// Takes all messages.
    pub(crate) fn take(&self) -> Vec<Message> {
        if !self.some.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.messages.lock().waiting)
    }

    /// Waits for a message, at most for `most`.
    pub(crate) fn wait(&self, most: Duration) {
        let messages = self.messages.lock();
        let empty = |messages: &mut Messages| messages.waiting.is_empty();
        drop(self.arrived.wait_timeout_while(messages, most, empty));
    }

    /// Ends the inbox: no message is taken any more.
    pub(crate) fn close(&self) {
        self.messages.lock().closed = true;
    }
}
