//! The audit: reads the counters of a source into the ledger so that it balances.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::ledger::PathCounters;
use crate::stage::Source;

/// Interval between two audits of a source without requests.
pub const AUDIT_INTERVAL: Duration = Duration::from_millis(500);

/// Reads the counters of the source: the waiting records are counted between two readings, and must lie between them.
pub fn audit(source: &mut dyn Source, counters: &PathCounters) {
    const ATTEMPTS: usize = 8;
    let received = counters.received.load(Relaxed);
    for attempt in 1..=ATTEMPTS {
        let before = source.counters();
        let waiting = source.waiting_records();
        let after = source.counters();
        let went_back = before.given_back.saturating_sub(counters.given_back.load(Relaxed));
        let received = received + went_back;
        let seen = received + waiting;
        let fits = before.produced.saturating_sub(after.lost) <= seen && seen <= after.produced.saturating_sub(before.lost);
        if fits || attempt == ATTEMPTS {
            // At some moment between the two readings exactly this number had been produced.
            let produced = if fits { seen + before.lost } else { after.produced };
            counters.produced.store(produced, Relaxed);
            counters.lost_in_ring.store(before.lost, Relaxed);
            counters.in_ring.store(waiting, Relaxed);
            PathCounters::add(&counters.received, went_back);
            PathCounters::add(&counters.given_back, went_back);
            counters.filtered_in_kernel.store(after.filtered, Relaxed);
            counters.missed_in_kernel.store(after.missed, Relaxed);
            counters.unread_in_kernel.store(after.unread, Relaxed);
            return;
        }
    }
}
