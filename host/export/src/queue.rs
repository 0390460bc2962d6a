//! Encoded rows that wait, bounded by their bytes, and the account of each: a row that was accepted ends as exported or as dropped for one
//! reason, whatever happens to the task that holds it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use host_model::{Condvar, DeliveryCounters, Lock, Settled};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::buffer::Taken;
use crate::otlp::answer;
use crate::otlp::request::Scope;
use crate::settings::RequestLimits;

/// Interval at which a thread that waits for room checks for it.
const LOOK: Duration = Duration::from_millis(10);

/// The number of bytes that may wait, shared by the queues that draw on it.
#[derive(Debug)]
pub(crate) struct Budget {
    cap: u64,
    used: AtomicU64,
    /// Whether rows wait for room.
    patient: AtomicBool,
    freed: Condvar,
    freeing: Lock<()>,
}

/// The account of some rows. If it is dropped unsettled, its rows count as dropped at shutdown.
#[derive(Debug)]
pub(crate) struct Receipt {
    rows: u64,
    counters: Option<Arc<DeliveryCounters>>,
    budget: Arc<Budget>,
    held: u64,
}

/// Encoded items of one scope.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// The scope of the items.
    pub scope: Arc<Scope>,
    /// The encoded items.
    pub bytes: Bytes,
    /// The account of the items.
    pub receipt: Receipt,
}

/// The treatment of a parcel that finds no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The parcel is dropped.
    DropNewest,
    /// The oldest parcels make room: right for cumulative metrics, whose newest points are complete.
    DropOldest,
}

/// Parcels of one signal, first in, first out.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Lock<State>,
    changed: Notify,
    budget: Arc<Budget>,
    overflow: Overflow,
    request: RequestLimits,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    rows: u64,
    urgent: bool,
    closed: bool,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(cap: u64) -> Arc<Self> {
        Arc::new(Self {
            cap,
            used: AtomicU64::new(0),
            patient: AtomicBool::new(false),
            freed: Condvar::new(),
            freeing: Lock::new(()),
        })
    }

    /// Sets whether rows wait for room from now on, or are dropped without room.
    pub(crate) fn be_patient(&self, patient: bool) {
        self.patient.store(patient, Relaxed);
        self.freed.notify_all();
    }

    /// Returns the bytes that wait, and their maximum.
    pub(crate) fn level(&self) -> (u64, u64) {
        (self.used.load(Relaxed), self.cap)
    }

    fn take(&self, bytes: u64) -> bool {
        let grown = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.cap);
        self.used.fetch_update(Relaxed, Relaxed, grown).is_ok()
    }

    /// Returns a receipt for rows whose bytes fit, or None.
    pub(crate) fn admit(self: &Arc<Self>, bytes: u64, rows: u64, counters: Option<&Arc<DeliveryCounters>>) -> Option<Receipt> {
        let is_admitted = self.take(bytes) || self.patient.load(Relaxed) && self.await_room(bytes);
        if !is_admitted {
            return None;
        }
        if let Some(counters) = counters {
            counters.admit(rows);
        }
        Some(Receipt { rows, counters: counters.cloned(), budget: Arc::clone(self), held: bytes })
    }

    /// Waits for room and reserves these bytes. Returns false if there will never be room, or the wait was ended.
    #[cold]
    fn await_room(&self, bytes: u64) -> bool {
        let mut freeing = self.freeing.lock();
        while bytes <= self.cap && self.patient.load(Relaxed) {
            if self.take(bytes) {
                return true;
            }
            // Freeing room does not take the lock, so a wake-up can be missed: hence the timeout.
            freeing = self.freed.wait_timeout(freeing, LOOK);
        }
        false
    }
}

// === impl Receipt ===

impl Receipt {
    /// Returns the number of open rows.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Settles all open rows as exported: the collector, or the output, accepted them.
    pub(crate) fn exported(mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.settle(rows, Settled::Exported);
    }

    /// Settles at most `rows` open rows as rejected; returns their number.
    pub(crate) fn rejected(&mut self, rows: u64) -> u64 {
        let rows = rows.min(self.rows);
        self.rows -= rows;
        self.settle(rows, Settled::Rejected);
        rows
    }

    /// Settles the open rows as displaced by others.
    fn displaced(mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.settle(rows, Settled::QueueFull);
    }

    /// Splits off the account of some of the rows and bytes.
    fn split(&mut self, rows: u64, held: u64) -> Self {
        let (rows, held) = (rows.min(self.rows), held.min(self.held));
        self.rows -= rows;
        self.held -= held;
        Self { rows, counters: self.counters.clone(), budget: Arc::clone(&self.budget), held }
    }

    fn settle(&self, rows: u64, settled: Settled) {
        if let Some(counters) = self.counters.as_ref().filter(|_| rows > 0) {
            counters.settle(rows, settled);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.settle(self.rows, Settled::Shutdown);
        self.budget.used.fetch_sub(self.held, Relaxed);
        self.budget.freed.notify_all();
    }
}

// === impl Parcel ===

impl Parcel {
    /// Returns two parcels with half of the items each, or the parcel if it has one item.
    fn halve(mut self) -> Result<(Self, Self), Self> {
        let (mut middle, mut items) = (0, 0);
        while middle < self.bytes.len() / 2
            && let Some(end) = self.bytes.get(middle..).and_then(answer::item_end)
        {
            middle += end;
            items += 1;
        }
        if middle == 0 || middle == self.bytes.len() {
            return Err(self);
        }
        let bytes = self.bytes.split_to(middle);
        let receipt = self.receipt.split(items, bytes.len() as u64);
        Ok((Self { scope: Arc::clone(&self.scope), bytes, receipt }, self))
    }
}

/// Returns two requests with half of the items each, or the parcels if they have one item only.
#[allow(clippy::type_complexity, reason = "two of what was given")]
pub(crate) fn halve(mut parcels: Vec<Parcel>) -> Result<(Vec<Parcel>, Vec<Parcel>), Vec<Parcel>> {
    if parcels.len() > 1 {
        let second = parcels.split_off(parcels.len() / 2);
        return Ok((parcels, second));
    }
    match parcels.pop().map(Parcel::halve) {
        Some(Ok((first, second))) => Ok((vec![first], vec![second])),
        Some(Err(whole)) => Err(vec![whole]),
        None => Err(Vec::new()),
    }
}

// === impl Queue ===

impl Queue {
    pub(crate) fn new(budget: Arc<Budget>, overflow: Overflow, request: RequestLimits) -> Arc<Self> {
        Arc::new(Self { state: Lock::default(), changed: Notify::new(), budget, overflow, request })
    }

    /// Appends rows; returns false if there was no room, which is then counted.
    pub(crate) fn push(&self, scope: &Arc<Scope>, taken: Taken, rows: u64, counters: Option<&Arc<DeliveryCounters>>) -> bool {
        let Taken { bytes, held } = taken;
        // It may wait for the threads that take from the queue, so the queue must not be locked.
        let mut admitted = self.budget.admit(held, rows, counters);
        let mut state = self.state();
        let receipt = loop {
            match (admitted, self.overflow) {
                (Some(receipt), _) => break receipt,
                (None, Overflow::DropOldest) if !state.parcels.is_empty() => {
                    let oldest = state.pop();
                    oldest.into_iter().for_each(|parcel| parcel.receipt.displaced());
                    admitted = self.budget.admit(held, rows, counters);
                }
                (None, _) => {
                    if let Some(counters) = counters {
                        counters.count(rows, Settled::QueueFull);
                    }
                    return false;
                }
            }
        };
        if state.closed {
            return true;
        }
        let wakes = state.parcels.is_empty();
        state.bytes += bytes.len();
        state.rows += rows;
        state.parcels.push_back(Parcel { scope: Arc::clone(scope), bytes, receipt });
        let wakes = wakes || state.fills(self.request);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
        true
    }

    /// Sends waiting parcels now, without lingering for more.
    pub(crate) fn hurry(&self) {
        let mut state = self.state();
        if !state.parcels.is_empty() && !state.urgent {
            state.urgent = true;
            self.changed.notify_one();
        }
    }

    /// Closes the queue: it accepts no more, but waiting parcels are still sent.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Gives up the waiting parcels.
    pub(crate) fn clear(&self) {
        let parcels = {
            let mut state = self.state();
            (state.bytes, state.rows) = (0, 0);
            std::mem::take(&mut state.parcels)
        };
        drop(parcels);
    }

    /// Returns the parcels of the next request: as soon as there are enough for a full one, `linger` has passed since the first, or
    /// [`Queue::hurry`] was called. None once the queue is closed and empty.
    pub(crate) async fn next(&self, linger: Duration) -> Option<Vec<Parcel>> {
        let mut first_seen = None;
        loop {
            let changed = self.changed.notified();
            let deadline = {
                let mut state = self.state();
                if state.parcels.is_empty() {
                    if state.closed {
                        return None;
                    }
                    None
                } else {
                    let deadline = *first_seen.get_or_insert_with(|| Instant::now() + linger);
                    if state.closed || state.urgent || state.fills(self.request) || Instant::now() >= deadline {
                        return Some(state.take(self.request));
                    }
                    Some(deadline)
                }
            };
            match deadline {
                None => changed.await,
                Some(deadline) => {
                    let _ = tokio::time::timeout_at(deadline, changed).await;
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

// === impl State ===

impl State {
    fn fills(&self, request: RequestLimits) -> bool {
        self.bytes >= request.bytes || self.rows >= request.rows
    }

    fn pop(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.pop_front()?;
        self.bytes -= parcel.bytes.len();
        self.rows -= parcel.receipt.rows();
        Some(parcel)
    }

    /// Takes as many parcels as one request holds, at least one.
    fn take(&mut self, limits: RequestLimits) -> Vec<Parcel> {
        let (mut bytes, mut rows) = (0, 0);
        let mut request = Vec::new();
        while let Some(next) = self.parcels.front() {
            bytes += next.bytes.len();
            rows += next.receipt.rows();
            if !request.is_empty() && (bytes > limits.bytes || rows > limits.rows) {
                break;
            }
            request.extend(self.pop());
        }
        if self.parcels.is_empty() {
            self.urgent = false;
        }
        request
    }
}
