//! The delivery of kept rows: each is in flight until it is exported or dropped for one reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::lock::Lock;
/// The account of a path's kept rows. Shared by the path, its sink and the deliverers. Rows in flight are counted as they come and go, so
/// that `kept = exported + dropped + in flight` can fail.
#[derive(Debug, Default)]
pub struct DeliveryCounters {
    /// Rows that were accepted and are not settled.
    pub in_flight: AtomicU64,
    /// See [`crate::Ledger::exported`].
    pub exported: AtomicU64,
    /// Rows dropped because the queue was full.
    pub dropped_queue_full: AtomicU64,
    /// Rows that the collector refused finally, or that a partial success left out.
    pub dropped_rejected: AtomicU64,
    /// Rows not delivered before the end of the drain.
    pub dropped_at_shutdown: AtomicU64,
    /// Held while rows move from one counter to another, and while all are read: by deliverers for each parcel, never by a path.
    moving: Lock<()>,
}

/// The outcome of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The collector, or the output, accepted the rows.
    Exported,
    /// There was no room for the rows.
    QueueFull,
    /// The collector refused the rows.
    Rejected,
    /// There was no time left for the rows.
    Shutdown,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// See [`DeliveryCounters::in_flight`].
    pub in_flight: u64,
    /// See [`DeliveryCounters::exported`].
    pub exported: u64,
    /// See [`DeliveryCounters::dropped_queue_full`].
    pub dropped_queue_full: u64,
    /// See [`DeliveryCounters::dropped_rejected`].
    pub dropped_rejected: u64,
    /// See [`DeliveryCounters::dropped_at_shutdown`].
    pub dropped_at_shutdown: u64,
}

// === impl DeliveryCounters ===

impl DeliveryCounters {
    /// Counts rows as accepted.
    pub fn admit(&self, rows: u64) {
        self.in_flight.fetch_add(rows, Relaxed);
    }

    /// Settles rows that were accepted.
    pub fn settle(&self, rows: u64, settled: Settled) {
        let _moving = self.moving.lock();
        self.counter(settled).fetch_add(rows, Relaxed);
        self.in_flight.fetch_sub(rows, Relaxed);
    }

    /// Counts rows as settled that were never accepted.
    pub fn count(&self, rows: u64, settled: Settled) {
        self.counter(settled).fetch_add(rows, Relaxed);
    }

    /// Returns the counters at a moment at which no rows were being settled.
    #[must_use]
    pub fn now(&self) -> Delivery {
        let _still = self.moving.lock();
        Delivery {
            in_flight: self.in_flight.load(Relaxed),
            exported: self.exported.load(Relaxed),
            dropped_queue_full: self.dropped_queue_full.load(Relaxed),
            dropped_rejected: self.dropped_rejected.load(Relaxed),
            dropped_at_shutdown: self.dropped_at_shutdown.load(Relaxed),
        }
    }

    /// Returns the number of dropped rows, for any reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.now().dropped()
    }

    const fn counter(&self, settled: Settled) -> &AtomicU64 {
        match settled {
            Settled::Exported => &self.exported,
            Settled::QueueFull => &self.dropped_queue_full,
            Settled::Rejected => &self.dropped_rejected,
            Settled::Shutdown => &self.dropped_at_shutdown,
        }
    }
}

// === impl Delivery ===

impl Delivery {
    /// Returns the number of dropped rows, for any reason.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped_queue_full + self.dropped_rejected + self.dropped_at_shutdown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_flight_until_they_are_settled() {
        let counters = DeliveryCounters::default();
        counters.admit(10);
        assert_eq!(counters.now(), Delivery { in_flight: 10, ..Delivery::default() });
        counters.settle(4, Settled::Exported);
        counters.settle(3, Settled::Rejected);
        counters.settle(2, Settled::Shutdown);
        counters.count(5, Settled::QueueFull);
        let expected =
            Delivery { in_flight: 1, exported: 4, dropped_queue_full: 5, dropped_rejected: 3, dropped_at_shutdown: 2 };
        assert_eq!(counters.now(), expected);
        assert_eq!(counters.dropped(), 10);
    }

    #[test]
    fn whenever_it_is_read_no_row_is_missing_and_none_is_there_twice() {
        const ROWS: u64 = 200_000;
        let counters = DeliveryCounters::default();
        counters.admit(ROWS);
        std::thread::scope(|scope| {
            for settled in [Settled::Exported, Settled::Rejected] {
                let counters = &counters;
                scope.spawn(move || (0..ROWS / 2).for_each(|_| counters.settle(1, settled)));
            }
            loop {
                let now = counters.now();
                assert_eq!(now.in_flight + now.exported + now.dropped(), ROWS, "{now:?}");
                if now.in_flight == 0 {
                    break;
                }
            }
        });
    }
}
