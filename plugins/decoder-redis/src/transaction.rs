//! `MULTI` to `EXEC`: the changes of commands take effect when the commands run, not when they are queued.

use serde::{Deserialize, Serialize};

use crate::request::{OFF, ON, SKIP};
use crate::vocabulary::Kind;

/// The queued commands.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Transaction {
    /// Number of commands.
    pub queued: u32,
    /// Number of results in the reply to `EXEC`: one for each command, but one per channel for a `SUBSCRIBE`, and none for those behind a
    /// `CLIENT REPLY` that turns them off, though the reply announces one.
    results: u64,
    /// Whether results are turned off.
    is_off: bool,
    /// Changes of the connection's state by the positions of their results, the first [`MAX_CHANGES`].
    changes: Vec<(u64, Change)>,
}

/// The change that a command makes once it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub kind: Kind,
    pub detail: u16,
    pub arguments: u32,
}

/// Which of the commands that `EXEC` ran have failed: a bit for each of the first 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome(u64);

/// Maximum number of changes that are stored of one transaction.
const MAX_CHANGES: usize = 32;

// === impl Transaction ===

impl Transaction {
    /// Queues one more command.
    pub(crate) fn queue(&mut self, change: Change) {
        let Change { kind, detail, arguments } = change;
        let is_change = matches!(kind, Kind::Select | Kind::Subscribe | Kind::Unsubscribe | Kind::Reply | Kind::Monitor);
        if is_change && self.changes.len() < MAX_CHANGES {
            self.changes.push((self.results, change));
        }
        if kind == Kind::Reply {
            self.is_off = detail == OFF || self.is_off && detail != ON;
        }
        self.queued = self.queued.saturating_add(1);
        self.results += match kind {
            _ if self.is_off => 0,
            Kind::Reply if detail == SKIP => 0,
            Kind::Subscribe | Kind::Unsubscribe => u64::from(arguments.max(1)),
            _ => 1,
        };
    }

    /// Returns the number of results that come if the reply announces this number.
    pub(crate) fn results(&self, announced: u64) -> u64 {
        if announced == u64::from(self.queued) { self.results } else { announced }
    }

    /// Returns the changes that are in effect after all commands have run.
    pub(crate) fn changes(&self, outcome: Outcome) -> impl Iterator<Item = Change> + '_ {
        self.changes.iter().filter(move |(place, _)| !outcome.has_failed(*place)).map(|(_, change)| *change)
    }
}

// === impl Outcome ===

impl Outcome {
    /// Marks the result at this position as an error.
    pub(crate) fn mark_failed(&mut self, place: u64) {
        self.0 |= bit(place);
    }

    fn has_failed(self, place: u64) -> bool {
        self.0 & bit(place) != 0
    }
}

/// Returns the bit of a position; 0 beyond the first 64.
fn bit(place: u64) -> u64 {
    u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or(0)
}

impl Kind {
    /// Whether such a command is queued in a transaction instead of being run.
    pub(crate) const fn is_queued(self) -> bool {
        !matches!(self, Self::Multi | Self::Exec | Self::Discard | Self::Reset | Self::Ends | Self::Replicate)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, MAX_CHANGES, OFF, ON, Outcome, SKIP, Transaction};
    use crate::vocabulary::Kind;

    #[test]
    fn there_are_as_many_results_as_redis_gives() {
        let reply = |detail| Change { kind: Kind::Reply, detail, arguments: 1 };
        let plain = Change { kind: Kind::Plain, ..reply(ON) };
        let subscribe = |arguments| Change { kind: Kind::Subscribe, arguments, ..plain };
        for (all, results) in [
            (vec![plain, reply(OFF), plain], 1),
            (vec![reply(OFF), plain, reply(ON), plain], 2),
            (vec![plain, reply(SKIP), plain], 2),
            (vec![reply(ON), plain], 2),
            (vec![subscribe(3), plain, Change { kind: Kind::Unsubscribe, ..subscribe(0) }], 5),
        ] {
            let mut transaction = Transaction::default();
            let queued = all.len() as u64;
            all.into_iter().for_each(|change| transaction.queue(change));
            assert_eq!((transaction.results(queued), transaction.results(99)), (results, 99));
        }
    }

    #[test]
    fn what_failed_changes_nothing_and_there_is_an_end_to_what_is_remembered() {
        let mut transaction = Transaction::default();
        let select = |detail| Change { kind: Kind::Select, detail, arguments: 1 };
        for detail in 0..3 {
            transaction.queue(select(detail));
            transaction.queue(Change { kind: Kind::Plain, ..select(9) });
        }
        let mut outcome = Outcome::default();
        outcome.mark_failed(4);
        outcome.mark_failed(u64::MAX);
        let databases =
            |transaction: &Transaction, outcome| transaction.changes(outcome).map(|change| change.detail).collect::<Vec<_>>();
        assert_eq!((databases(&transaction, outcome), transaction.queued), (vec![0, 1], 6));
        (0..1000).for_each(|_| transaction.queue(select(7)));
        assert_eq!(databases(&transaction, Outcome::default()).len(), MAX_CHANGES);
    }
}
