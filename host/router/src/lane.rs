//! A lane: the records of one protocol on their way from the router to the path that decodes them. Two buffers: the router fills one, the
//! path reads the other, and they are swapped when the path has read all.

mod leaving;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use host_model::run::{DISCARDED, payload_len, slot_len};
use host_model::{Condvar, Disowned, KernelCounters, KernelPlan, Lock, PlanError, Run, Source, Waker};

use crate::record::{Key, Shape};

pub(crate) use leaving::Leaving;

/// Maximum bytes that wait in a lane. 4 MiB: a path that stands still for a deadline of 100 ms loses nothing at 40 MB/s.
const ROOM: usize = 4 << 20;
/// Capacity that the read buffer shrinks to once it was read.
const LARGE: usize = 1 << 20;
/// Maximum sleep of an idle lane: its path checks the time then.
const NAP: Duration = Duration::from_millis(500);

/// The reading end of a lane: the source of a path.
pub(crate) struct Lane {
    shared: Arc<Shared>,
    leaving: Leaving,
    /// The name of the path, and of the probe whose ring it shares.
    path: Arc<str>,
    trunk: Arc<str>,
    reading: Vec<u8>,
    /// Bytes of `reading` that were released.
    head: usize,
    /// Records in `reading` that were not released.
    unread: u64,
    /// Number of records that were returned before they were read.
    given_back: u64,
    /// The bytes and the number of records of the run that is being read.
    taken: (usize, u32),
    /// Whether nothing came since the last wait.
    idle: bool,
}

/// The writing end of a lane, owned by the router.
pub(crate) struct Outlet {
    shared: Arc<Shared>,
    parcels: Vec<Parcel>,
    /// Records that are not part of the trunk's run.
    stash: Vec<u8>,
    /// Conversations whose records had no room in the last delivery, each once.
    pub(crate) lost: Vec<Key>,
    /// Number of records that were handed over, or had no room.
    handed: u64,
}

/// The clock of a trunk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Time {
    /// Offset from the clock of the records to Unix time.
    pub(crate) unix_offset_ns: u64,
    /// In a replay, when the last run was recorded.
    pub(crate) replayed_ns: Option<u64>,
}

/// A record to be delivered.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    stashed: bool,
    at: usize,
    length: usize,
    role: u8,
    /// The bits to set in the record's flags.
    flags: u8,
}

/// The state that both ends of a lane share.
#[derive(Default)]
pub(crate) struct Shared {
    filling: Lock<Filling>,
    /// Notified when there are records or messages.
    filled: Condvar,
    /// Notified when records were read.
    drained: Condvar,
    /// Bytes in `filling`.
    waiting: AtomicUsize,
    /// Bytes in the buffer that the path reads.
    left: AtomicUsize,
    unix_offset_ns: AtomicU64,
    /// The time of a replay; 0 for now.
    time_ns: AtomicU64,
}

#[derive(Default)]
struct Filling {
    bytes: Vec<u8>,
    records: u64,
    produced: u64,
    lost: u64,
    /// Number of bytes at which the reader is woken.
    wanted: usize,
    woken: bool,
    /// Whether the router waits until everything was read.
    urgent: bool,
    /// Whether no records follow.
    ended: bool,
    /// Whether the reader is gone.
    abandoned: bool,
    /// Conversations whose delivery has stopped, each with the position in `bytes` behind its last record.
    stops: Vec<(Key, usize)>,
}

/// Makes the two ends of a lane.
pub(crate) fn lane(path: Arc<str>, trunk: Arc<str>, leaving: Leaving) -> (Outlet, Lane) {
    let shared: Arc<Shared> = Arc::default();
    let outlet = Outlet { shared: Arc::clone(&shared), parcels: Vec::new(), stash: Vec::new(), lost: Vec::new(), handed: 0 };
    let lane = Lane {
        shared,
        leaving,
        path,
        trunk,
        reading: Vec::new(),
        head: 0,
        unread: 0,
        given_back: 0,
        taken: (0, 0),
        idle: false,
    };
    (outlet, lane)
}

// === impl Outlet ===

impl Outlet {
    /// Adds a record of the trunk's run: `length` bytes at `at`.
    pub(crate) fn pass(&mut self, at: usize, length: usize, role: u8, flags: u8) {
        self.parcels.push(Parcel { stashed: false, at, length, role, flags });
    }

    /// Adds a record that is not part of the run.
    pub(crate) fn stash(&mut self, record: &[u8], role: u8, flags: u8) {
        self.parcels.push(Parcel { stashed: true, at: self.stash.len(), length: record.len(), role, flags });
        self.stash.extend_from_slice(record);
    }

    /// Whether there are records to deliver.
    pub(crate) fn has_records(&self) -> bool {
        !self.parcels.is_empty()
    }

    /// Delivers all records at once. Those without room are counted as lost; with `until` they wait for room until then.
    pub(crate) fn deliver(&mut self, run: &[u8], shape: &Shape, until: Option<Instant>) {
        let Self { shared, parcels, stash, lost, handed } = self;
        lost.clear();
        let mut filling = shared.lock();
        for Parcel { stashed, at, length, role, flags } in parcels.drain(..) {
            let place = if stashed { stash.get(at..at + length) } else { run.get(at..at + length) };
            let record = place.unwrap_or_default();
            let needs = slot_len(u32::try_from(length).unwrap_or(u32::MAX));
            while let Some(until) = until.filter(|_| !shared.fits(&filling, needs) && !filling.abandoned) {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                shared.ready(&filling, 0);
                filling = shared.drained.wait_timeout(filling, left);
            }
            *handed += 1;
            filling.produced += 1;
            if filling.abandoned || !shared.fits(&filling, needs) {
                filling.lost += 1;
                lost.extend(shape.key(record));
                continue;
            }
            filling.push(record, shape, role, flags);
            shared.waiting.store(filling.bytes.len(), Relaxed);
        }
        stash.clear();
        let wanted = filling.wanted;
        shared.ready(&filling, wanted);
    }

    /// Sets the clock of the lane.
    pub(crate) fn set_time(&self, time: Time) {
        self.shared.unix_offset_ns.store(time.unix_offset_ns, Relaxed);
        self.shared.time_ns.store(time.replayed_ns.unwrap_or(0), Relaxed);
    }

    /// Ends the lane. The path ends once it has read what is there.
    pub(crate) fn end(&self) {
        let mut filling = self.shared.lock();
        filling.ended = true;
        self.shared.filled.notify_all();
    }

    /// Sends the reader, behind the records so far, that no more records of this conversation follow.
    pub(crate) fn stop(&self, key: Key) {
        let mut filling = self.shared.lock();
        let place = filling.bytes.len();
        filling.stops.push((key, place));
        self.shared.filled.notify_one();
    }

    /// Number of records that were handed over, or had no room.
    pub(crate) const fn handed(&self) -> u64 {
        self.handed
    }

    /// Whether the path has read everything, or is gone.
    pub(crate) fn is_settled(&self) -> bool {
        !self.shared.is_busy(&self.shared.lock())
    }

    /// Waits until the path has read everything, or is gone.
    pub(crate) fn settle(&self) {
        let busy = |filling: &mut Filling| self.shared.is_busy(filling);
        let mut filling = self.shared.lock();
        filling.urgent = true;
        self.shared.filled.notify_all();
        self.shared.drained.wait_while(filling, busy).urgent = false;
    }

    /// Whether the reader is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.lock().abandoned
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Filling ===

impl Filling {
    /// Copies a record, and writes role and flags into the copy.
    fn push(&mut self, record: &[u8], shape: &Shape, role: u8, flags: u8) {
        let place = self.bytes.len() + host_model::run::HEADER;
        Run::push(&mut self.bytes, record);
        if let Some(byte) = self.bytes.get_mut(place + shape.role) {
            *byte = role;
        }
        if let Some(byte) = self.bytes.get_mut(place + shape.flags) {
            *byte |= flags;
        }
        self.records += 1;
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Filling> {
        self.filling.lock()
    }

    fn is_busy(&self, filling: &Filling) -> bool {
        let is_read = filling.bytes.is_empty() && filling.stops.is_empty() && self.left.load(Relaxed) == 0;
        !filling.abandoned && !is_read
    }

    fn fits(&self, filling: &Filling, bytes: usize) -> bool {
        filling.bytes.len() + self.left.load(Relaxed) + bytes <= ROOM
    }

    /// Wakes the reader if `wanted` bytes are there.
    fn ready(&self, filling: &Filling, wanted: usize) {
        if !filling.bytes.is_empty() && filling.bytes.len() >= wanted {
            self.filled.notify_one();
        }
    }
}

impl Waker for Shared {
    fn wake(&self) {
        self.lock().woken = true;
        self.filled.notify_all();
    }
}

// === impl Lane ===

impl Lane {
    /// Waits until `wanted` bytes are there, the waker fires, or `most` has passed.
    fn sleep(&self, wanted: usize, most: Duration) -> MutexGuard<'_, Filling> {
        let mut filling = self.shared.lock();
        filling.wanted = wanted;
        let asleep = |filling: &mut Filling| {
            let is_called = filling.woken || filling.ended || filling.urgent || !filling.stops.is_empty();
            !is_called && filling.bytes.len() < wanted
        };
        self.shared.filled.wait_timeout_while(filling, most, asleep)
    }

    /// Takes the filled buffer, if the other was read completely.
    fn refill(&mut self) {
        if self.head < self.reading.len() {
            return;
        }
        self.reading.clear();
        self.head = 0;
        if self.reading.capacity() > LARGE {
            self.reading.shrink_to(LARGE);
        }
        let mut filling = self.shared.lock();
        std::mem::swap(&mut filling.bytes, &mut self.reading);
        self.unread = std::mem::take(&mut filling.records);
        self.shared.waiting.store(0, Relaxed);
        self.shared.left.store(self.reading.len(), Relaxed);
        let stops = filling.stops.clone();
        drop(filling);
        if !self.leaving.is_empty() {
            self.sift(0, &stops);
            self.leaving.finish(&stops);
        }
        if !stops.is_empty() {
            // Only now, so that a thread that waits for it finds the returned records.
            self.shared.lock().stops.drain(..stops.len());
            self.shared.drained.notify_all();
        }
    }

    /// Discards records of leaving conversations among the unread ones, from this position on.
    fn sift(&mut self, from: usize, stops: &[(Key, usize)]) {
        let removed = self.leaving.sift(self.reading.get_mut(from..).unwrap_or_default(), stops);
        self.unread -= removed;
        self.given_back += removed;
    }
}

impl Source for Lane {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        if self.head < self.reading.len() {
            return;
        }
        // Limits an idle lane to two wake-ups a second.
        let nap = if self.idle { timeout.max(NAP) } else { timeout };
        let mut filling = self.sleep(1, nap);
        let came = !filling.bytes.is_empty();
        if came && filling.bytes.len() < ready_bytes {
            drop(filling);
            filling = self.sleep(ready_bytes, timeout);
        }
        filling.woken = false;
        let is_stopped = !filling.stops.is_empty();
        drop(filling);
        if is_stopped {
            self.refill();
        }
        self.idle = !came;
    }

    fn waiting_bytes(&self) -> usize {
        self.reading.len() - self.head + self.shared.waiting.load(Relaxed)
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        if self.taken.0 == 0 {
            self.refill();
            self.taken = prefix(self.reading.get(self.head..).unwrap_or_default(), max_records, max_bytes);
        }
        let (length, records) = self.taken;
        Run { bytes: self.reading.get(self.head..self.head + length).unwrap_or_default(), records }
    }

    fn release(&mut self) {
        let (length, records) = std::mem::take(&mut self.taken);
        self.head += length;
        self.unread -= u64::from(records);
        // Under the lock, so that a waiting thread cannot miss it.
        let _filling = self.shared.lock();
        self.shared.left.store(self.reading.len() - self.head, Relaxed);
        self.shared.drained.notify_all();
    }

    fn waiting_records(&mut self) -> u64 {
        self.unread + self.shared.lock().records
    }

    fn counters(&mut self) -> KernelCounters {
        let filling = self.shared.lock();
        let given_back = self.given_back;
        KernelCounters { produced: filling.produced, lost: filling.lost, given_back, ..KernelCounters::default() }
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        if *plan == KernelPlan::default() {
            return Ok(());
        }
        let reason = format!("it shares probe {} with other protocols, whose records a plan would drop as well", self.trunk);
        Err(PlanError::Unsupported { probe: self.path.to_string(), reason })
    }

    fn ended(&self) -> bool {
        let filling = self.shared.lock();
        filling.ended && filling.stops.is_empty() && self.waiting_bytes() == 0
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::clone(&self.shared) as Arc<dyn Waker>
    }

    fn unix_offset_ns(&self) -> u64 {
        self.shared.unix_offset_ns.load(Relaxed)
    }

    fn time_ns(&self) -> Option<u64> {
        Some(self.shared.time_ns.load(Relaxed)).filter(|time_ns| *time_ns > 0)
    }

    fn is_routed(&self) -> bool {
        true
    }

    fn give_back(&mut self, disowned: &[Disowned]) {
        let behind = self.head + self.taken.0;
        let run = self.reading.get(self.head..behind).unwrap_or_default();
        if self.leaving.begin(disowned, run) {
            self.sift(behind, &[]);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut filling = self.shared.lock();
        filling.abandoned = true;
        let mut unread = std::mem::take(&mut filling.bytes);
        drop(filling);
        if !self.leaving.is_empty() {
            self.sift(self.head + self.taken.0, &[]);
            self.leaving.sift(&mut unread, &[]);
            self.leaving.abandon();
        }
        self.shared.drained.notify_all();
    }
}

/// Returns the length of the longest prefix of framed records within the limits, and the number of its records; at least one, if there is
/// one.
fn prefix(bytes: &[u8], max_records: usize, max_bytes: usize) -> (usize, u32) {
    let (mut length, mut records) = (0, 0_u32);
    while let Some((header, _)) = bytes.get(length..).and_then(<[u8]>::split_first_chunk::<4>) {
        let header = u32::from_le_bytes(*header);
        let next = length + slot_len(header);
        if payload_len(header) == 0 || (length > 0 && (records as usize >= max_records || next > max_bytes)) {
            break;
        }
        length = next;
        records += u32::from(header & DISCARDED == 0);
    }
    (length.min(bytes.len()), records)
}

#[cfg(test)]
mod tests;
