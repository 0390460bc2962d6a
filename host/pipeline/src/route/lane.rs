//! A lane: the records of one protocol on their way from the router to the path that decodes them. Two buffers: the router fills
//! one, the path reads the other, and they change places when the path has read all.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use host_model::run::{payload_len, slot_len};
use host_model::{Claims, KernelCounters, KernelPlan, PlanError, Run, Source, Waker};

use super::record::Shape;

/// Bytes that wait in a lane at most. 4 MiB: a path that stands still for a deadline of 100 ms loses nothing at 40 MB/s.
const ROOM: usize = 4 << 20;
/// A buffer larger than this is given back once it holds little.
const LARGE: usize = 1 << 20;
/// How long an idle lane sleeps at once: its path looks at the clock then.
const NAP: Duration = Duration::from_millis(500);

/// Where a path reads its records.
pub(crate) struct Lane {
    shared: Arc<Shared>,
    claims: Arc<dyn Claims>,
    /// The name of the path, and of the probe that it shares.
    path: Arc<str>,
    trunk: Arc<str>,
    reading: Vec<u8>,
    /// What was released of `reading`.
    head: usize,
    /// Records in `reading` that were not released.
    unread: u64,
    /// Bytes of the run that has been handed out, and its records.
    taken: (usize, u32),
    /// Nothing came since the last wait.
    idle: bool,
}

/// Where the router puts them.
pub(crate) struct Outlet {
    shared: Arc<Shared>,
    parcels: Vec<Parcel>,
    /// Records that are not part of the trunk's run.
    stash: Vec<u8>,
}

/// What a trunk says of time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Time {
    /// What turns the clock of the records into Unix time.
    pub(crate) unix_offset_ns: u64,
    /// When the last run was recorded, in a replay.
    pub(crate) replayed_ns: Option<u64>,
}

/// A record that is to be delivered.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    stashed: bool,
    at: usize,
    length: usize,
    role: u8,
    /// Bits to be set in the record's flags.
    flags: u8,
}

/// What both ends of a lane share.
#[derive(Default)]
pub(crate) struct Shared {
    filling: Mutex<Filling>,
    /// Something is to be read, or to be done.
    filled: Condvar,
    /// Something has been read.
    drained: Condvar,
    /// Bytes in `filling`.
    waiting: AtomicUsize,
    /// Bytes in the buffer that is read.
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
    /// Bytes from which on the reader wants to be woken.
    wanted: usize,
    woken: bool,
    /// The router waits for what is there.
    urgent: bool,
    /// Nothing more comes.
    ended: bool,
    /// The reader is gone.
    deserted: bool,
}

/// A lane's two ends.
pub(crate) fn lane(path: Arc<str>, trunk: Arc<str>, claims: Arc<dyn Claims>) -> (Outlet, Lane) {
    let shared: Arc<Shared> = Arc::default();
    let outlet = Outlet { shared: Arc::clone(&shared), parcels: Vec::new(), stash: Vec::new() };
    let lane = Lane { shared, claims, path, trunk, reading: Vec::new(), head: 0, unread: 0, taken: (0, 0), idle: false };
    (outlet, lane)
}

// === impl Outlet ===

impl Outlet {
    /// A record of the trunk's run, `length` bytes at `at`.
    pub(crate) fn pass(&mut self, at: usize, length: usize, role: u8, flags: u8) {
        self.parcels.push(Parcel { stashed: false, at, length, role, flags });
    }

    /// A record from elsewhere.
    pub(crate) fn stash(&mut self, record: &[u8], role: u8, flags: u8) {
        self.parcels.push(Parcel { stashed: true, at: self.stash.len(), length: record.len(), role, flags });
        self.stash.extend_from_slice(record);
    }

    /// Whether there is something to deliver.
    pub(crate) fn is_laden(&self) -> bool {
        !self.parcels.is_empty()
    }

    /// Hands everything over at once: what has no room is counted as lost, or, if there is time until then, waits for room.
    pub(crate) fn deliver(&mut self, run: &[u8], shape: &Shape, until: Option<Instant>) {
        let Self { shared, parcels, stash } = self;
        let mut filling = shared.lock();
        for Parcel { stashed, at, length, role, flags } in parcels.drain(..) {
            let place = if stashed { stash.get(at..at + length) } else { run.get(at..at + length) };
            let record = place.unwrap_or_default();
            let needs = slot_len(u32::try_from(length).unwrap_or(u32::MAX));
            while let Some(until) = until.filter(|_| !shared.fits(&filling, needs) && !filling.deserted) {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                shared.ready(&filling, 0);
                (filling, _) = shared.drained.wait_timeout(filling, left).unwrap_or_else(PoisonError::into_inner);
            }
            filling.produced += 1;
            if filling.deserted || !shared.fits(&filling, needs) {
                filling.lost += 1;
                continue;
            }
            filling.push(record, shape, role, flags);
            shared.waiting.store(filling.bytes.len(), Relaxed);
        }
        stash.clear();
        let wanted = filling.wanted;
        shared.ready(&filling, wanted);
    }

    /// Passes on what the trunk says of time.
    pub(crate) fn set_time(&self, time: Time) {
        self.shared.unix_offset_ns.store(time.unix_offset_ns, Relaxed);
        self.shared.time_ns.store(time.replayed_ns.unwrap_or(0), Relaxed);
    }

    /// Nothing more comes. The path ends once it has read what is there.
    pub(crate) fn end(&self) {
        let mut filling = self.shared.lock();
        filling.ended = true;
        self.shared.filled.notify_all();
    }

    /// Waits until the path has worked on everything, or is gone.
    pub(crate) fn settle(&self) {
        let busy =
            |filling: &mut Filling| !filling.deserted && (!filling.bytes.is_empty() || self.shared.left.load(Relaxed) > 0);
        let mut filling = self.shared.lock();
        filling.urgent = true;
        self.shared.filled.notify_all();
        let settled = self.shared.drained.wait_while(filling, busy);
        settled.unwrap_or_else(PoisonError::into_inner).urgent = false;
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_deserted(&self) -> bool {
        self.shared.lock().deserted
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Filling ===

impl Filling {
    /// Copies a record, and writes what the router knows into the copy.
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
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fits(&self, filling: &Filling, bytes: usize) -> bool {
        filling.bytes.len() + self.left.load(Relaxed) + bytes <= ROOM
    }

    /// Wakes the reader if this is worth it.
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
    /// Waits until `wanted` bytes are there, the waker fires, or this much time has passed.
    fn sleep(&self, wanted: usize, most: Duration) -> MutexGuard<'_, Filling> {
        let mut filling = self.shared.lock();
        filling.wanted = wanted;
        let asleep =
            |filling: &mut Filling| !(filling.woken || filling.ended || filling.urgent) && filling.bytes.len() < wanted;
        self.shared.filled.wait_timeout_while(filling, most, asleep).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Takes what was filled meanwhile, if all was read.
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
    }
}

impl Source for Lane {
    fn wait(&mut self, ready_bytes: usize, timeout: Duration) {
        if self.head < self.reading.len() {
            return;
        }
        // The longer nothing comes, the fewer looks: idle lanes cost two wakes a second.
        let nap = if self.idle { timeout.max(NAP) } else { timeout };
        let mut filling = self.sleep(1, nap);
        let came = !filling.bytes.is_empty();
        if came && filling.bytes.len() < ready_bytes {
            drop(filling);
            filling = self.sleep(ready_bytes, timeout);
        }
        filling.woken = false;
        drop(filling);
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
        // Under the lock, so that whoever waits for it cannot miss it.
        let _filling = self.shared.lock();
        self.shared.left.store(self.reading.len() - self.head, Relaxed);
        self.shared.drained.notify_all();
    }

    fn waiting_records(&mut self) -> u64 {
        self.unread + self.shared.lock().records
    }

    fn counters(&mut self) -> KernelCounters {
        let filling = self.shared.lock();
        KernelCounters { produced: filling.produced, lost: filling.lost, ..KernelCounters::default() }
    }

    fn apply(&mut self, plan: &KernelPlan) -> Result<(), PlanError> {
        if *plan == KernelPlan::default() {
            return Ok(());
        }
        let reason = format!("it shares probe {} with other protocols, whose records a plan would drop as well", self.trunk);
        Err(PlanError::Unsupported { probe: self.path.to_string(), reason })
    }

    fn ended(&self) -> bool {
        self.shared.lock().ended && self.waiting_bytes() == 0
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

    fn claims(&self) -> Option<Arc<dyn Claims>> {
        Some(Arc::clone(&self.claims))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.lock().deserted = true;
        self.shared.drained.notify_all();
    }
}

/// How many bytes of framed records fit, and how many records they are; at least one, if there is one.
fn prefix(bytes: &[u8], max_records: usize, max_bytes: usize) -> (usize, u32) {
    let (mut length, mut records) = (0, 0_u32);
    while let Some((header, _)) = bytes.get(length..).and_then(<[u8]>::split_first_chunk::<4>) {
        let header = u32::from_le_bytes(*header);
        let next = length + slot_len(header);
        if payload_len(header) == 0 || (records > 0 && (records as usize >= max_records || next > max_bytes)) {
            break;
        }
        length = next;
        records += 1;
    }
    (length.min(bytes.len()), records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::record::tests::layout;
    use crate::route::record::{SERVER, TICK};

    struct Nobody;

    impl Claims for Nobody {
        fn disown(&self, _connections: Vec<u64>) {}
    }

    fn ends() -> (Shape, Outlet, Lane) {
        let (outlet, lane) = lane("talk".into(), "l7".into(), Arc::new(Nobody));
        (Shape::of(&layout()).unwrap(), outlet, lane)
    }

    #[test]
    fn what_is_delivered_is_read_in_order_with_what_the_router_knows() {
        let (shape, mut outlet, mut lane) = ends();
        let mut run = Vec::new();
        (0..3).for_each(|time| Run::push(&mut run, &shape.note(TICK, time)));
        outlet.pass(8, 104, SERVER, 4);
        outlet.stash(&shape.note(TICK, 9), 0, 0);
        outlet.pass(8 + 2 * 112, 104, SERVER, 0);
        outlet.deliver(&run, &shape, None);
        assert_eq!((lane.waiting_records(), lane.counters().produced), (3, 3));
        let heads: Vec<_> = lane.run(10, 1 << 20).iter().map(|record| shape.head(record).unwrap()).collect();
        assert_eq!(heads.iter().map(|head| head.time_ns).collect::<Vec<_>>(), [0, 9, 2]);
        assert_eq!((heads[0].role, heads[0].flags, heads[1].role, heads[2].flags), (SERVER, 4, 0, 0));
        lane.release();
        assert_eq!((lane.waiting_bytes(), lane.waiting_records()), (0, 0));
    }

    #[test]
    fn what_has_no_room_is_lost_and_counted() {
        let (shape, mut outlet, mut lane) = ends();
        let large = [shape.note(TICK, 1), vec![0; 4096]].concat();
        (0..2000).for_each(|_| outlet.stash(&large, 0, 0));
        outlet.deliver(&[], &shape, None);
        let counters = lane.counters();
        assert_eq!((counters.produced, counters.lost + lane.waiting_records()), (2000, 2000));
        assert!(counters.lost > 900 && lane.waiting_bytes() <= ROOM, "{counters:?}");
        while lane.waiting_bytes() > 0 {
            lane.run(100, 1 << 20);
            lane.release();
        }
        outlet.stash(&large, 0, 0);
        outlet.deliver(&[], &shape, None);
        assert_eq!(lane.waiting_records(), 1, "there is room again");
    }

    #[test]
    fn a_lane_that_nobody_reads_holds_nobody_up() {
        let (shape, mut outlet, lane) = ends();
        drop(lane);
        outlet.stash(&shape.note(TICK, 1), 0, 0);
        outlet.deliver(&[], &shape, Some(Instant::now() + Duration::from_secs(60)));
        outlet.settle();
        assert!(outlet.is_deserted());
    }

    #[test]
    fn it_ends_when_the_last_record_was_read() {
        let (shape, mut outlet, mut lane) = ends();
        outlet.stash(&shape.note(TICK, 1), 0, 0);
        outlet.deliver(&[], &shape, None);
        drop(outlet);
        assert!(!lane.ended());
        lane.wait(1 << 20, Duration::from_secs(60));
        lane.run(1, 1);
        lane.release();
        assert!(lane.ended());
    }

    #[test]
    fn a_plan_is_refused_with_the_reason_and_no_plan_is_fine() {
        let (_, _outlet, mut lane) = ends();
        assert_eq!(lane.apply(&KernelPlan::default()), Ok(()));
        let error = lane.apply(&KernelPlan { min_duration_ns: 1, ..KernelPlan::default() }).unwrap_err();
        assert!(error.to_string().contains("shares probe l7"), "{error}");
    }
}
