//! The state of one connection, and how commands change it.

use plugin_sdk::conversation::{Began, Foreign, Queue, Sender};
use serde::{Deserialize, Serialize};

use crate::attributes::Exchange;
use crate::reply::{Replies, Reply, Shape};
use crate::request::{OFF, ON, Requests, SKIP};
use crate::transaction::{Change, Outcome, Transaction};
use crate::vocabulary::{Code, Kind};
use crate::waiting::{EarlyReply, Waiting};

/// The state of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Connection {
    pub(crate) requests: Requests,
    pub(crate) replies: Replies,
    pub(crate) waiting: Queue<Waiting, MAX_WAITING>,
    /// Replies that came before their commands.
    pub(crate) early: Queue<EarlyReply, MAX_EARLY>,
    /// Index of the database that commands run in.
    pub(crate) database: u16,
    /// The commands queued since `MULTI`.
    pub(crate) transaction: Option<Transaction>,
    /// Whether the client has sent `MULTI`, and no command that ends it.
    pub(crate) is_queueing: bool,
    /// Number of confirmations of the last subscription that are still to come.
    pub(crate) confirmations: u32,
    pub(crate) silence: Silence,
    pub(crate) gap: Option<Gap>,
    /// Time of the server's last call, if it came after the client's last one.
    pub(crate) answered_ns: Option<u64>,
    /// The end of the client's last call, as far as it was captured.
    pub(crate) client_end: Began,
    pub(crate) is_subscribed: bool,
    pub(crate) is_monitor: bool,
    /// Whether the following bytes are replicated data.
    pub(crate) is_stream: bool,
    /// Whether a command or a reply was parsed, which proves that the connection speaks this protocol.
    pub(crate) is_confirmed: bool,
    /// Whether there was a gap before: a reply without a command may be that of a command that timed out.
    pub(crate) had_gap: bool,
    /// Whether the client sends commands before the earlier ones are answered.
    pub(crate) is_pipelined: bool,
    /// Number of consecutive calls that could not be parsed.
    pub(crate) unreadable: u8,
}

/// The replies that `CLIENT REPLY` turned off.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Silence {
    #[default]
    Off,
    Next,
    On,
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

/// Maximum number of waiting commands, 400 KiB of a connection. Pipelines of 10,000 are usual, and of each of their calls only the first
/// commands are captured.
const MAX_WAITING: usize = 8192;
/// Maximum number of early replies that are held.
const MAX_EARLY: usize = 64;
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
        self.waiting.len() * size_of::<Waiting>() + self.early.len() * size_of::<EarlyReply>()
    }

    /// Records that a command or a reply was parsed.
    #[inline]
    pub(crate) fn confirm(&mut self) {
        (self.is_confirmed, self.unreadable) = (true, 0);
    }

    /// Counts a call that could not be parsed. After too many of them the connection is taken to speak another protocol.
    #[cold]
    pub(crate) fn count_unreadable(&mut self) -> Result<(), Foreign> {
        self.unreadable = self.unreadable.saturating_add(1);
        let most = if self.is_confirmed { MAX_UNREADABLE } else { MAX_UNREADABLE_AT_FIRST };
        if self.unreadable < most { Ok(()) } else { Err(Foreign::Whole) }
    }
}

// === impl Connection: effects of commands ===

impl Connection {
    /// Whether this command gets no reply.
    pub(crate) fn is_silent(&mut self, kind: Kind, detail: u16) -> bool {
        let before = self.silence;
        // In a transaction it is queued like all others.
        let kind = if self.is_queueing && kind == Kind::Reply { Kind::Plain } else { kind };
        if kind == Kind::Reset && before == Silence::On {
            self.silence = Silence::Off;
            return false;
        }
        self.silence = match (kind, detail, before) {
            (Kind::Reply, ON, _) => Silence::Off,
            (Kind::Reply, OFF, _) | (_, _, Silence::On) => Silence::On,
            (Kind::Reply, SKIP, _) => Silence::Next,
            _ => Silence::Off,
        };
        match kind {
            Kind::Reply => detail != ON,
            _ => before != Silence::Off,
        }
    }

    /// Whether this is out of band, not a reply to a command.
    pub(crate) fn is_out_of_band(&mut self, shape: Shape) -> bool {
        match shape {
            Shape::Push => true,
            Shape::Message => self.is_subscribed,
            Shape::Line => self.is_monitor,
            Shape::Value | Shape::Null | Shape::Queued => false,
            Shape::Confirmation | Shape::PushedConfirmation => {
                if self.confirmations > 0 {
                    self.confirmations -= 1;
                    return true;
                }
                match self.waiting.front() {
                    Some(Waiting { kind: Kind::Subscribe | Kind::Unsubscribe, arguments, .. }) => {
                        self.confirmations = arguments.saturating_sub(1);
                        self.is_subscribed = true;
                        false
                    }
                    _ => self.is_subscribed || shape == Shape::PushedConfirmation,
                }
            }
        }
    }

    /// Applies the changes that a command makes for those after it.
    pub(crate) fn apply(&mut self, waiting: &Waiting, reply: Reply, outcome: Outcome, exchange: &mut Exchange) {
        let &Waiting { kind, detail, arguments, .. } = waiting;
        let is_done = reply.code == Code::NONE;
        if reply.shape == Shape::Queued && is_done {
            return self.transaction.get_or_insert_default().queue(Change { kind, detail, arguments });
        }
        match kind {
            Kind::Exec => {
                let transaction = self.transaction.take().filter(|_| is_done && reply.shape != Shape::Null);
                if let Some(transaction) = transaction {
                    exchange.batch = transaction.queued;
                    transaction.changes(outcome).for_each(|change| self.apply_queued(change));
                }
            }
            Kind::Multi if !is_done => self.is_queueing &= self.transaction.is_some(),
            _ if !is_done => {}
            Kind::Multi => self.transaction = Some(Transaction::default()),
            Kind::Discard => self.transaction = None,
            Kind::Select => (self.database, self.transaction) = (detail, None),
            Kind::Monitor => self.is_monitor = true,
            Kind::Reset => {
                (self.database, self.transaction, self.confirmations) = (0, None, 0);
                (self.is_subscribed, self.is_monitor) = (false, false);
            }
            // It succeeded, so the transaction has ended: the command that ended it was not seen.
            _ => self.transaction = None,
        }
    }

    /// Applies the change of a command that ran within a transaction.
    pub(crate) fn apply_queued(&mut self, change: Change) {
        match change.kind {
            Kind::Select => self.database = change.detail,
            Kind::Monitor => self.is_monitor = true,
            // All confirmations are among the results.
            Kind::Subscribe | Kind::Unsubscribe => self.is_subscribed = true,
            Kind::Reply => {
                self.silence = match change.detail {
                    OFF => Silence::On,
                    SKIP if self.silence != Silence::On => Silence::Next,
                    SKIP => self.silence,
                    _ => Silence::Off,
                };
            }
            _ => {}
        }
    }
}
