//! Holds responses that were seen before their requests.
//!
//! The record of a sending call is written when the call returns. By then, on one machine, the peer may have answered, and another thread
//! of the sender (the reader of a Go or gRPC client) may have received the response. Its record contains how much had been sent: see
//! `opposite`.

use serde::{Deserialize, Serialize};

use super::record::L7Record;
use super::stream::is_before;

/// The early records of one connection.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Early {
    /// The records, in their order.
    records: Vec<Vec<u8>>,
}

/// Maximum number of records that are held for one connection: more than can answer a sending call while it returns.
const MOST: usize = 16;

/// Time after which a held response is taken to belong to a request whose record was lost.
const WAIT_NS: u64 = 1_000_000_000;

// === impl Early ===

impl Early {
    pub(crate) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether the maximum is reached.
    pub(crate) const fn is_full(&self) -> bool {
        self.records.len() >= MOST
    }

    /// Returns the number of bytes that are held.
    pub(crate) fn kept(&self) -> usize {
        self.records.iter().map(Vec::len).sum()
    }

    /// Holds a record.
    #[cold]
    pub(crate) fn hold(&mut self, record: &[u8]) {
        self.records.push(record.to_vec());
    }

    /// Removes and returns those that answer bytes sent before this sequence number.
    pub(crate) fn until(&mut self, sequence: u32) -> Vec<Vec<u8>> {
        self.take(|record| !is_before(sequence, record.opposite()))
    }

    /// Removes and returns all, if the first has waited too long.
    pub(crate) fn overdue(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        let is_overdue =
            |record: &Vec<u8>| L7Record::new(record).is_none_or(|record| now_ns.saturating_sub(record.time_ns()) >= WAIT_NS);
        if self.records.first().is_some_and(is_overdue) { self.all() } else { Vec::new() }
    }

    /// Removes and returns all.
    pub(crate) fn all(&mut self) -> Vec<Vec<u8>> {
        self.take(|_| true)
    }

    /// Removes and returns the first that satisfy the condition, up to one that does not.
    fn take(&mut self, is_due: impl Fn(L7Record<'_>) -> bool) -> Vec<Vec<u8>> {
        let waits = |record: &Vec<u8>| L7Record::new(record).is_some_and(|record| !is_due(record));
        let due = self.records.iter().position(waits).unwrap_or(self.records.len());
        self.records.drain(..due).collect()
    }
}
