//! The state of one connection.

use plugin_sdk::conversation::{Began, Foreign, Queue, Sender};
use serde::{Deserialize, Serialize};

use crate::reply::Replies;
use crate::request::Requests;
use crate::waiting::Waiting;

/// The state of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    pub(crate) requests: Requests,
    pub(crate) replies: Replies,
    pub(crate) waiting: Queue<Waiting, MAX_WAITING>,
    pub(crate) gap: Option<Gap>,
    /// Time of the server's last call, if it came after the client's last one.
    pub(crate) answered_ns: Option<u64>,
    /// The end of the client's last call, as far as it was captured.
    pub(crate) client_end: Began,
    /// Whether the server sends lines of its log.
    pub(crate) is_log: bool,
    /// Whether a command or a reply was parsed, which proves that the connection speaks this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether the client sends commands before the earlier ones are answered.
    pub(crate) is_pipelined: bool,
    /// Number of consecutive calls that could not be parsed.
    pub(crate) unreadable: u8,
}

/// Missing bytes, because of which replies cannot be assigned to commands. Clients that pipeline read all replies before they write again:
/// when the client writes after the server did, all earlier commands have been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// Number of waiting commands that were sent before the missing bytes: their replies still match in order.
    pub answerable: u32,
    /// The position of missing commands; replies without a waiting command are replies to these.
    pub lost_commands: Option<Began>,
    /// Whether replies are missing, so that the start of the next one is not known.
    pub has_lost_replies: bool,
}

/// Maximum number of waiting commands, 160 KiB of a connection. Clients set thousands of keys at once, and read the replies later.
const MAX_WAITING: usize = 4096;
/// Number of unreadable calls in a row after which a connection speaks another protocol.
const MAX_UNREADABLE: u8 = 16;
/// The same before a command or a reply was parsed.
const MAX_UNREADABLE_AT_FIRST: u8 = 4;

// === impl Connection ===

impl Connection {
    /// Handles missing bytes before those of a call, or a call that could not be parsed.
    #[cold]
    pub(crate) fn handle_gap(&mut self, sender: Sender, time_ns: u64) {
        match sender {
            // No bytes of the client were seen before.
            Sender::Client if self.client_end.time_ns == 0 => self.client_end.time_ns = time_ns,
            Sender::Client => {}
            Sender::Server => self.answered_ns = Some(time_ns),
        }
        self.lose_position(sender);
    }

    /// Marks the position in the bytes of one end as lost: bytes are missing, or could not be parsed.
    #[cold]
    pub(crate) fn lose_position(&mut self, sender: Sender) {
        let answerable = self.waiting.len() as u32;
        let gap = self.gap.get_or_insert(Gap { answerable, lost_commands: None, has_lost_replies: false });
        match sender {
            Sender::Client => {
                gap.lost_commands.get_or_insert(self.client_end);
                self.requests.lose_position();
            }
            Sender::Server => {
                (gap.answerable, gap.has_lost_replies) = (0, true);
                self.replies.lose_position();
            }
        }
    }

    /// Returns the number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.waiting.len() * size_of::<Waiting>()
    }

    /// Counts a call that could not be parsed. After too many of them the connection is taken to speak another protocol.
    #[cold]
    pub(crate) fn count_unreadable(&mut self) -> Result<(), Foreign> {
        self.unreadable = self.unreadable.saturating_add(1);
        let most = if self.is_confirmed { MAX_UNREADABLE } else { MAX_UNREADABLE_AT_FIRST };
        if self.unreadable < most { Ok(()) } else { Err(Foreign::Whole) }
    }
}
