//! A question that waits for its answer.

use plugin_sdk::conversation::{Began, Short};
use serde::{Deserialize, Serialize};

/// One question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub id: u16,
    pub began: Began,
    pub name: Short,
    pub question: u16,
    pub opcode: u8,
    /// Number of times that it was sent again, to the same server.
    pub retransmits: u16,
    /// The servers that it was sent to, as hashes, and the number of transmissions to each.
    pub(crate) sent: [(u64, u16); MAX_SERVERS],
    /// Time of the last transmission.
    pub(crate) last_ns: u64,
    /// Whether one of several transmissions was answered.
    pub(crate) is_answered: bool,
}

/// The content of an answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub time_ns: u64,
    pub code: u16,
    pub answers: u16,
    pub is_truncated: bool,
}

/// Maximum number of servers that a question is sent to at once: musl asks all of `resolv.conf`, and reads three of them.
const MAX_SERVERS: usize = 3;

// === impl Lookup ===

impl Lookup {
    /// Returns a question that was just sent.
    pub(crate) fn new(id: u16, began: Began, name: &[u8], question: u16, opcode: u8) -> Self {
        let (name, last_ns) = (Short::lossy(name), began.time_ns);
        Self { id, began, name, question, opcode, retransmits: 0, sent: Default::default(), last_ns, is_answered: false }
    }

    /// Counts a repeated question. A server has many clients, and a client may ask several servers at once.
    pub(crate) fn count_repeat(&mut self, peer: u64, is_server: bool) {
        if is_server {
            self.retransmits = self.retransmits.saturating_add(1);
            return;
        }
        if let Some(sent) = self.sent.iter_mut().find(|(known, times)| *times == 0 || *known == peer) {
            *sent = (peer, sent.1.saturating_add(1));
        }
        self.retransmits = self.sent.iter().map(|&(_, times)| times.saturating_sub(1)).max().unwrap_or(0);
    }
}
