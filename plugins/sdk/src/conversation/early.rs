//! Answers that were seen before their questions: they wait.
//!
//! A call that sends is told of when it returns. By then, on one machine, the peer may have answered, and another thread of the sender
//! (the reader of a Go or gRPC client) have received the answer. Its record says how much had been sent: see `opposite`.

use serde::{Deserialize, Serialize};

use super::record::L7Record;
use super::stream::is_before;

/// What one connection received early.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Early {
    /// Records, in their order.
    records: Vec<Vec<u8>>,
}

/// So many wait for one connection: more than a call that sends can be answered with while it returns.
const MOST: usize = 16;

/// An answer that has waited so long is to a question whose record was lost.
const WAIT_NS: u64 = 1_000_000_000;

// === impl Early ===

impl Early {
    pub(crate) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether no more may wait.
    pub(crate) const fn is_full(&self) -> bool {
        self.records.len() >= MOST
    }

    /// How many bytes wait.
    pub(crate) fn kept(&self) -> usize {
        self.records.iter().map(Vec::len).sum()
    }

    /// A record waits.
    #[cold]
    pub(crate) fn hold(&mut self, record: &[u8]) {
        self.records.push(record.to_vec());
    }

    /// Takes out those that answer what was sent before this sequence number.
    pub(crate) fn until(&mut self, sequence: u32) -> Vec<Vec<u8>> {
        self.take(|record| !is_before(sequence, record.opposite()))
    }

    /// Takes out all, if the first has waited too long.
    pub(crate) fn overdue(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        let is_overdue =
            |record: &Vec<u8>| L7Record::new(record).is_none_or(|record| now_ns.saturating_sub(record.time_ns()) >= WAIT_NS);
        if self.records.first().is_some_and(is_overdue) { self.all() } else { Vec::new() }
    }

    /// Takes out all.
    pub(crate) fn all(&mut self) -> Vec<Vec<u8>> {
        self.take(|_| true)
    }

    /// Takes out the first for which this holds, up to one for which it does not.
    fn take(&mut self, is_due: impl Fn(L7Record<'_>) -> bool) -> Vec<Vec<u8>> {
        let waits = |record: &Vec<u8>| L7Record::new(record).is_some_and(|record| !is_due(record));
        let due = self.records.iter().position(waits).unwrap_or(self.records.len());
        self.records.drain(..due).collect()
    }
}
