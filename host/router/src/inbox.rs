//! Messages of the lanes to the router, about conversations that their decoders reject.
//!
//! Returning one takes three messages. The lane reports that it is disowned, and from then on takes it out of its unread records. The
//! router stops delivering its records, retains new ones, and sends the lane a stop behind the last one that it delivered. When the lane
//! has read that far, it returns the records that it took out: nothing is lost between the two, however much was under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host_model::{Condvar, Lock, Waker};

use crate::record::Key;

/// Messages from all lanes to the router.
pub(crate) struct Inbox {
    messages: Lock<Messages>,
    arrived: Condvar,
    /// Whether there are messages, so that a check costs one load.
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

/// The identity of a lane, whose number may be reused later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) lane: usize,
    pub(crate) serial: u32,
}

/// A message of a lane.
#[derive(Debug)]
pub(crate) enum Message {
    /// Its decoder disowns this conversation; from its beginning, if it is `whole`.
    Disowned { ticket: Ticket, key: Key, whole: bool },
    /// The records of this conversation that the lane had and that belong to another decoder.
    Returned { ticket: Ticket, key: Key, returned: Returned },
}

/// Records that a lane returns.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    /// The records, framed as in a run.
    pub(crate) bytes: Vec<u8>,
    /// Number of these records.
    pub(crate) records: u64,
    /// Number of records for which there was no room.
    pub(crate) lost: u64,
}

// === impl Inbox ===

impl Inbox {
    pub(crate) fn new(waker: Arc<dyn Waker>) -> Self {
        Self { messages: Lock::default(), arrived: Condvar::new(), some: AtomicBool::new(false), waker }
    }

    /// Sends messages. Returns whether the router accepts them.
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

    /// Waits for a message, for at most `most`.
    pub(crate) fn wait(&self, most: Duration) {
        let messages = self.messages.lock();
        let empty = |messages: &mut Messages| messages.waiting.is_empty();
        drop(self.arrived.wait_timeout_while(messages, most, empty));
    }

    /// Closes the inbox: it accepts no more messages.
    pub(crate) fn close(&self) {
        self.messages.lock().closed = true;
    }
}
