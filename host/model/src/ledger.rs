//! The ledger: every record is counted at every stage, and the sums balance.
//!
//! ```text
//! produced          = lost_in_ring + received + in_ring
//! received          = decoded + undecodable + given_back
//!                     + routed + unrouted + held + lost_in_change - taken_back - doubled
//! routed + notes    = handed
//! rows + raw        = kept + sampled_out
//! kept              = exported + dropped_at_export + in_flight
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryCounters;
use crate::lock::Lock;

/// The sums of one path at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Records that passed the kernel-side filters, whether or not the ring had room.
    pub produced: u64,
    /// Hits that the kernel-side filters or the kernel plan dropped.
    pub filtered_in_kernel: u64,
    /// Hits of which no record was made: the kernel did not run the program for them (recursion), or there was no memory to
    /// remember their beginning. Not in `produced`, and so in no sum: what a program has not seen nobody can count twice.
    pub missed_in_kernel: u64,
    /// Reads of user memory that failed: the record came, without the text. In `produced` as any other.
    #[serde(default)]
    pub unread_in_kernel: u64,
    /// Produced, but the ring had no room.
    pub lost_in_ring: u64,
    /// Waiting in the ring.
    pub in_ring: u64,
    /// Taken out of the ring.
    pub received: u64,
    /// Records a decoder made rows of.
    pub decoded: u64,
    /// Records no decoder could read.
    pub undecodable: u64,
    /// Records that the router gave to the path of their protocol, where they are counted again as produced. Only where records
    /// are routed; a path decodes what it receives.
    #[serde(default)]
    pub routed: u64,
    /// Records of connections whose protocol nobody knows.
    #[serde(default)]
    pub unrouted: u64,
    /// Records that wait until the protocol of their connection is known.
    #[serde(default)]
    pub held: u64,
    /// Records that the path of a protocol received, and that went back to the router before they were decoded, because their
    /// connection turned out to speak another protocol.
    #[serde(default)]
    pub given_back: u64,
    /// Records that were routed and came back, read or not, because their connection turned out to speak another protocol. They
    /// are routed once more, or are among those that nobody knows, that wait or were lost.
    #[serde(default)]
    pub taken_back: u64,
    /// Records that another decoder should have had when their connection changed hands, and that were not there any more, or
    /// for which there was no room.
    #[serde(default)]
    pub lost_in_change: u64,
    /// Ends of connections that are told twice: to the plaintext conversation of a TLS library over them as well.
    #[serde(default)]
    pub doubled: u64,
    /// Records that the router wrote itself: that time has passed, that nothing follows. The paths count them as produced.
    #[serde(default)]
    pub notes: u64,
    /// Records that paths of protocols were handed, as those count it that hand them over; what they had no room for is lost in
    /// their ring.
    #[serde(default)]
    pub handed: u64,
    /// Those of them that were handed to paths which have ended since, whose ledgers are gone.
    #[serde(default)]
    pub retired: u64,
    /// Rows that decoders made. Equal to `decoded` where a decoder makes one row per record.
    pub rows: u64,
    /// Raw events that stand for undecodable records.
    pub raw: u64,
    /// Rows that the sampler dropped.
    pub sampled_out: u64,
    /// Rows that go on.
    pub kept: u64,
    /// Rows that the collector (or the output, where there is no collector) took.
    pub exported: u64,
    /// Rows given up: queue full, refused by the collector, or not sent before the end.
    pub dropped_at_export: u64,
    /// Those of them that the queue had no room for.
    #[serde(default)]
    pub dropped_queue_full: u64,
    /// Those of them that the collector refused.
    #[serde(default)]
    pub dropped_rejected: u64,
    /// Those of them that were not delivered before the end of the drain.
    #[serde(default)]
    pub dropped_at_shutdown: u64,
    /// Taken in by the exporter, not yet exported or dropped.
    pub in_flight: u64,
}

/// The counters of one path. Written by its worker and its sink, read by any thread; relaxed, because each is a sum of its own.
#[derive(Debug, Default)]
pub struct PathCounters {
    /// See [`Ledger::produced`].
    pub produced: AtomicU64,
    /// See [`Ledger::filtered_in_kernel`].
    pub filtered_in_kernel: AtomicU64,
    /// See [`Ledger::missed_in_kernel`].
    pub missed_in_kernel: AtomicU64,
    /// See [`Ledger::unread_in_kernel`].
    pub unread_in_kernel: AtomicU64,
    /// See [`Ledger::lost_in_ring`].
    pub lost_in_ring: AtomicU64,
    /// See [`Ledger::in_ring`].
    pub in_ring: AtomicU64,
    /// See [`Ledger::received`].
    pub received: AtomicU64,
    /// See [`Ledger::decoded`].
    pub decoded: AtomicU64,
    /// See [`Ledger::undecodable`].
    pub undecodable: AtomicU64,
    /// See [`Ledger::routed`].
    pub routed: AtomicU64,
    /// See [`Ledger::unrouted`].
    pub unrouted: AtomicU64,
    /// See [`Ledger::held`].
    pub held: AtomicU64,
    /// See [`Ledger::given_back`].
    pub given_back: AtomicU64,
    /// See [`Ledger::taken_back`].
    pub taken_back: AtomicU64,
    /// See [`Ledger::lost_in_change`].
    pub lost_in_change: AtomicU64,
    /// See [`Ledger::doubled`].
    pub doubled: AtomicU64,
    /// See [`Ledger::notes`].
    pub notes: AtomicU64,
    /// See [`Ledger::handed`].
    pub handed: AtomicU64,
    /// See [`Ledger::retired`].
    pub retired: AtomicU64,
    /// See [`Ledger::rows`].
    pub rows: AtomicU64,
    /// See [`Ledger::raw`].
    pub raw: AtomicU64,
    /// See [`Ledger::sampled_out`].
    pub sampled_out: AtomicU64,
    /// See [`Ledger::kept`].
    pub kept: AtomicU64,
    /// Number of metric series of the path; not part of the ledger.
    pub series: AtomicU64,
    /// The delivery counters, shared with the sink.
    pub delivery: Arc<DeliveryCounters>,
    /// The sums that the worker took last, and when it did.
    taken: Lock<Option<(Ledger, Instant)>>,
}

/// The sums of a path, which balance, and their age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The sums.
    pub ledger: Ledger,
    /// The time since the worker took the sums: zero if it has answered, more if it is busy with one batch.
    pub age: Duration,
}

// === impl Ledger ===

impl Ledger {
    /// Whether all sums balance. `in_ring` is the number of waiting records at the worker's reading of the kernel's counters, so the first
    /// line is a measurement and not a definition.
    #[must_use]
    pub const fn balanced(&self) -> bool {
        self.produced == self.lost_in_ring + self.received + self.in_ring
            && self.received + self.taken_back + self.doubled
                == self.decoded
                    + self.undecodable
                    + self.given_back
                    + self.routed
                    + self.unrouted
                    + self.held
                    + self.lost_in_change
            && self.routed + self.notes == self.handed
            && self.rows + self.raw == self.kept + self.sampled_out
            && self.kept == self.exported + self.dropped_at_export + self.in_flight
    }

    /// Returns the number of events that never arrived here, wherever they were lost.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_in_ring + self.missed_in_kernel + self.lost_in_change
    }
}

// === impl PathCounters ===

impl PathCounters {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Relaxed);
    }

    /// Returns the sums, taken by the worker between two batches: they balance.
    pub fn take(&self) -> Ledger {
        let ledger = self.ledger();
        *self.taken.lock() = Some((ledger, Instant::now()));
        ledger
    }

    /// Returns the sums that the worker took last: for callers that cannot wait for it.
    #[must_use]
    pub fn taken(&self) -> Snapshot {
        let taken = *self.taken.lock();
        taken.map_or_else(Snapshot::default, |(ledger, at)| Snapshot { ledger, age: at.elapsed() })
    }

    /// Returns the current sums. Sums that are still moving are read from the end of the path to its start, so that a row is never counted
    /// after a stage without being counted before it; where the ledger must balance, take it from the path's worker.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let delivery = self.delivery.now();
        Ledger {
            in_flight: delivery.in_flight,
            exported: delivery.exported,
            dropped_at_export: delivery.dropped(),
            dropped_queue_full: delivery.dropped_queue_full,
            dropped_rejected: delivery.dropped_rejected,
            dropped_at_shutdown: delivery.dropped_at_shutdown,
            kept: self.kept.load(Relaxed),
            sampled_out: self.sampled_out.load(Relaxed),
            raw: self.raw.load(Relaxed),
            rows: self.rows.load(Relaxed),
            undecodable: self.undecodable.load(Relaxed),
            decoded: self.decoded.load(Relaxed),
            retired: self.retired.load(Relaxed),
            handed: self.handed.load(Relaxed),
            notes: self.notes.load(Relaxed),
            lost_in_change: self.lost_in_change.load(Relaxed),
            held: self.held.load(Relaxed),
            unrouted: self.unrouted.load(Relaxed),
            routed: self.routed.load(Relaxed),
            doubled: self.doubled.load(Relaxed),
            taken_back: self.taken_back.load(Relaxed),
            given_back: self.given_back.load(Relaxed),
            received: self.received.load(Relaxed),
            in_ring: self.in_ring.load(Relaxed),
            lost_in_ring: self.lost_in_ring.load(Relaxed),
            missed_in_kernel: self.missed_in_kernel.load(Relaxed),
            unread_in_kernel: self.unread_in_kernel.load(Relaxed),
            filtered_in_kernel: self.filtered_in_kernel.load(Relaxed),
            produced: self.produced.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BALANCED: Ledger = Ledger {
        produced: 10,
        filtered_in_kernel: 5,
        missed_in_kernel: 3,
        unread_in_kernel: 1,
        lost_in_ring: 1,
        in_ring: 2,
        received: 7,
        decoded: 6,
        undecodable: 1,
        routed: 0,
        unrouted: 0,
        held: 0,
        given_back: 0,
        taken_back: 0,
        lost_in_change: 0,
        doubled: 0,
        notes: 0,
        handed: 0,
        retired: 0,
        rows: 6,
        raw: 1,
        sampled_out: 3,
        kept: 4,
        exported: 2,
        dropped_at_export: 1,
        dropped_queue_full: 1,
        dropped_rejected: 0,
        dropped_at_shutdown: 0,
        in_flight: 1,
    };

    #[test]
    fn one_record_missing_at_any_stage_is_seen() {
        assert!(BALANCED.balanced());
        assert!(!Ledger { produced: 11, ..BALANCED }.balanced());
        assert!(!Ledger { decoded: 5, ..BALANCED }.balanced());
        assert!(!Ledger { unrouted: 1, ..BALANCED }.balanced());
        assert!(!Ledger { sampled_out: 2, ..BALANCED }.balanced());
        assert!(!Ledger { exported: 1, ..BALANCED }.balanced());
    }

    #[test]
    fn what_the_kernel_ran_no_program_for_is_as_lost_as_what_the_ring_had_no_room_for() {
        assert_eq!(BALANCED.lost(), 4);
    }

    #[test]
    fn sums_that_the_worker_took_hold_while_it_moves_on() {
        let counters = PathCounters::default();
        PathCounters::add(&counters.produced, 3);
        PathCounters::add(&counters.received, 3);
        PathCounters::add(&counters.decoded, 3);
        assert!(counters.take().balanced());
        PathCounters::add(&counters.received, 1);
        assert!(!counters.ledger().balanced(), "a record is under way");
        assert!(counters.taken().ledger.balanced());
        assert_eq!(counters.taken().ledger.received, 3);
    }

    #[test]
    fn what_comes_back_is_routed_once_more_or_counted_as_lost() {
        let routed = Ledger { produced: 10, received: 10, routed: 10, handed: 10, ..Ledger::default() };
        let again = Ledger { routed: 13, handed: 13, taken_back: 4, lost_in_change: 1, ..routed };
        assert!(routed.balanced() && again.balanced());
        assert!(!Ledger { lost_in_change: 0, ..again }.balanced());
        assert_eq!(again.lost(), 1);
        let path = Ledger { produced: 10, received: 10, decoded: 7, given_back: 3, ..Ledger::default() };
        assert!(path.balanced() && !Ledger { given_back: 2, ..path }.balanced());
    }

    #[test]
    fn what_is_routed_is_not_decoded() {
        let trunk = Ledger { produced: 10, received: 10, routed: 6, handed: 6, unrouted: 3, held: 1, ..Ledger::default() };
        assert!(trunk.balanced());
        assert!(!Ledger { held: 0, ..trunk }.balanced());
        assert!(!Ledger { handed: 5, ..trunk }.balanced(), "a record that no path was handed");
        assert!(Ledger { handed: 9, notes: 3, ..trunk }.balanced());
    }
}
