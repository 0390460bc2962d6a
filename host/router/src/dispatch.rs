//! Dispatch of records: known connections at once, new ones by port, by signature, or by asking decoders; and re-routing when a
//! decoder rejects a connection.

mod asking;
mod changing;
mod leaving;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{Observer, PathCounters, Run, Sender, UnknownPort};

use crate::held::Held;
use crate::inbox::Message;
use crate::lane::Time;
use crate::lanes::{Lanes, bit};
use crate::questions::Questions;
use crate::record::{CLIENT, DATA, END, FLUSH, Head, Key, PEER_LOCAL, SENT, SERVER, Shape, TICK, TLS, UDP, UNKNOWN, walk};
use crate::table::{ConnectionId, Fate, MOST, Table};
use crate::unknown_ports::UnknownPorts;
use crate::verdicts::Verdicts;

/// How long the first records of a connection are retained after routing, so that they can be re-routed if the decoder rejects it. A
/// second: a decoder has seen them by then, twenty times over.
const TRIAL_NS: u64 = 1_000_000_000;
/// Maximum time for a lane to make room in a replay: a lane that needs longer is not read at all.
const ROOM_TIMEOUT: Duration = Duration::from_secs(600);
/// Interval at which the verdict on a connection that the kernel still sends is written again: the kernel forgets old ones.
const TELL_AGAIN_NS: u64 = 1_000_000_000;

/// The state of the router: connections, lanes, counters.
pub(crate) struct Dispatch {
    pub(crate) shape: Shape,
    pub(crate) lanes: Lanes,
    pub(crate) verdicts: Verdicts,
    pub(crate) table: Table,
    unknown_ports: UnknownPorts,
    pub(crate) counters: Arc<PathCounters>,
    pub(crate) observer: Arc<dyn Observer>,
    /// Whether the time for asking decoders is limited. Not in a replay, whose result must not depend on time.
    pub(crate) is_timed: bool,
    tally: Tally,
    /// Connections that decoders are asked about after the run.
    due: Vec<ConnectionId>,
    /// Routed connections whose first records are retained, oldest first, each with the time since when.
    trials: VecDeque<(ConnectionId, u64)>,
    /// Those of them that are retained longer, because few records were seen so far.
    short_trials: VecDeque<ConnectionId>,
    held_bytes: usize,
    /// Messages of lanes that are not handled yet.
    messages: VecDeque<Message>,
    /// Number of conversations that change lanes, and the bytes retained of them.
    changing: usize,
    changing_bytes: usize,
    /// Number of records that were handed to lanes that have ended.
    retired: u64,
    /// Empty buffers for reuse; a connection holds one behind a pointer because most have none.
    #[expect(clippy::vec_box, reason = "the box is what is used again")]
    spare: Vec<Box<Held>>,
    /// The time of the newest record.
    pub(crate) now_ns: u64,
    questions: Questions,
}

/// Treatment of records for which a lane has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backpressure {
    /// They are dropped and counted: the ring must not wait.
    Live,
    /// They wait for room until this time: no records follow.
    Draining(Instant),
    /// They wait for room, and each lane finishes its records before the next lane gets any.
    InStep,
}

/// Counts of records since they were last published.
#[derive(Default)]
struct Tally {
    received: u64,
    routed: u64,
    unrouted: u64,
    taken_back: u64,
    lost_in_change: u64,
    doubled: u64,
    notes: u64,
    /// Records that are held: all of them, not only those since then.
    held: u64,
}

// === impl Dispatch ===

impl Dispatch {
    pub(crate) fn new(
        shape: Shape,
        lanes: Lanes,
        verdicts: Verdicts,
        counters: Arc<PathCounters>,
        observer: Arc<dyn Observer>,
        in_step: bool,
    ) -> Self {
        Self {
            is_timed: !in_step,
            shape,
            lanes,
            verdicts,
            table: Table::new(MOST),
            unknown_ports: UnknownPorts::default(),
            counters,
            observer,
            tally: Tally::default(),
            due: Vec::new(),
            trials: VecDeque::new(),
            short_trials: VecDeque::new(),
            held_bytes: 0,
            messages: VecDeque::new(),
            changing: 0,
            changing_bytes: 0,
            retired: 0,
            spare: Vec::new(),
            now_ns: 0,
            questions: Questions::default(),
        }
    }

    /// Finds the lane of every record of a run. [`Dispatch::deliver`] delivers them.
    pub(crate) fn route(&mut self, run: Run<'_>) {
        self.tally.received += u64::from(run.records);
        for (at, record) in walk(run) {
            match self.shape.head(record) {
                Some(head) => self.record(at, record, &head),
                None => self.tally.unrouted += 1,
            }
        }
        self.ask();
    }

    /// Delivers the routed records.
    pub(crate) fn deliver(&mut self, run: &[u8], time: Time, backpressure: Backpressure) {
        let shape = self.shape;
        let until = match backpressure {
            Backpressure::Live => None,
            Backpressure::Draining(until) => Some(until),
            Backpressure::InStep => Some(Instant::now() + ROOM_TIMEOUT),
        };
        let Self { lanes, table, .. } = self;
        for (_, entry) in lanes.iter_mut().filter(|(_, entry)| entry.outlet.has_records() || entry.is_stopping) {
            if entry.outlet.has_records() {
                entry.touched = true;
                entry.outlet.set_time(time);
                entry.outlet.deliver(run, &shape, until);
                for key in entry.outlet.lost.drain(..) {
                    if let Some(connection) = table.find(key).and_then(|id| table.at(id)) {
                        connection.given = connection.given.saturating_sub(1);
                    }
                }
            }
            entry.is_stopping = false;
            if backpressure == Backpressure::InStep {
                entry.outlet.settle();
            }
        }
        self.publish();
    }

    /// Sends the time to the lanes, and drops first records whose retention has ended.
    pub(crate) fn tick(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        while let Some(&(id, since)) = self.trials.front()
            && self.now_ns.saturating_sub(since) >= TRIAL_NS
        {
            self.trials.pop_front();
            self.review(id);
        }
        let abandoned: Vec<usize> =
            self.lanes.iter_mut().filter(|(_, e)| e.outlet.is_abandoned()).map(|(lane, _)| lane).collect();
        abandoned.into_iter().for_each(|lane| self.dismiss(lane));
        let note = self.shape.note(TICK, now_ns);
        for (_, entry) in self.lanes.iter_mut() {
            // A decoder without connections has no timeouts.
            if std::mem::take(&mut entry.touched) || entry.connections > 0 {
                entry.outlet.stash(&note, UNKNOWN, 0);
                self.tally.notes += 1;
            }
        }
    }

    /// Removes connections that were quiet for too long.
    pub(crate) fn remove_quiet(&mut self) {
        self.drop_finished_trials();
        for id in self.table.quiet(self.now_ns) {
            if let Some(connection) = self.table.remove(id) {
                self.release(connection);
            }
        }
    }

    /// Ends routing: undecided connections become unknown, and each lane gets the note that no records follow.
    pub(crate) fn flush(&mut self) {
        for id in self.table.ids(|connection| connection.fate == Fate::Open) {
            self.mark_unknown(id);
        }
        for id in self.table.ids(|connection| connection.fate == Fate::Changing) {
            self.forget(id);
        }
        let note = self.shape.note(FLUSH, self.now_ns);
        for (_, entry) in self.lanes.iter_mut() {
            entry.outlet.stash(&note, UNKNOWN, 0);
            self.tally.notes += 1;
        }
    }

    /// Ends a lane. Its connections become unknown.
    pub(crate) fn dismiss(&mut self, lane: usize) {
        let note = self.shape.note(FLUSH, self.now_ns);
        if let Some(mut entry) = self.lanes.take(lane) {
            entry.outlet.stash(&note, UNKNOWN, 0);
            self.tally.notes += 1;
            entry.outlet.deliver(&[], &self.shape, None);
            self.retired += entry.outlet.handed();
        }
        for id in self.table.ids(|connection| connection.fate == Fate::Routed(lane)) {
            self.mark_unknown(id);
        }
        // The number of the lane may be reused.
        for id in self.table.ids(|connection| (connection.not | connection.likely) & bit(lane) != 0) {
            if let Some(connection) = self.table.at(id) {
                connection.not &= !bit(lane);
                connection.likely &= !bit(lane);
            }
        }
    }

    /// Forgets connections of an unknown protocol, so that they are detected anew with the new decoder.
    pub(crate) fn retry_unknown(&mut self) {
        let unknown = self.table.ids(|connection| matches!(connection.fate, Fate::Unknown(_)));
        for id in unknown {
            if let Some(connection) = self.table.remove(id) {
                self.verdicts.forget(connection.key);
            }
        }
        self.verdicts.revise();
    }

    pub(crate) fn unknown_ports(&self) -> Vec<UnknownPort> {
        self.unknown_ports.all()
    }

    /// Publishes the counters.
    pub(crate) fn publish(&mut self) {
        let Tally { received, routed, unrouted, taken_back, lost_in_change, doubled, notes, held } =
            std::mem::take(&mut self.tally);
        self.tally.held = held;
        let counters = &self.counters;
        for (counter, amount) in [
            (&counters.received, received),
            (&counters.routed, routed),
            (&counters.unrouted, unrouted),
            (&counters.taken_back, taken_back),
            (&counters.lost_in_change, lost_in_change),
            (&counters.doubled, doubled),
            (&counters.notes, notes),
        ] {
            PathCounters::add(counter, amount);
        }
        let handed: u64 = self.lanes.iter_mut().map(|(_, entry)| entry.outlet.handed()).sum();
        counters.held.store(held, Relaxed);
        counters.retired.store(self.retired, Relaxed);
        counters.handed.store(self.retired + handed, Relaxed);
    }

    fn record(&mut self, at: usize, record: &[u8], head: &Head) {
        self.now_ns = self.now_ns.max(head.time_ns);
        let key = Key { connection: head.connection, tls: head.tls() };
        if head.kind == END && !key.tls {
            self.end_plaintext(head.connection, record);
        }
        let id = match self.table.find(key) {
            Some(id) => id,
            None if head.kind == DATA => self.insert(key, head, record),
            None => return self.tally.unrouted += 1,
        };
        let Some(connection) = self.table.at(id) else { return };
        connection.last_ns = head.time_ns;
        if !connection.sure_of_role && head.role != UNKNOWN {
            connection.role = head.role;
        }
        let ends = head.kind == END;
        connection.ended |= ends;
        match connection.fate {
            Fate::Routed(lane) => {
                let (role, flags) = (connection.role, if connection.peer_local { PEER_LOCAL } else { 0 });
                let kept = connection.held.is_some();
                connection.given += 1;
                if let Some(entry) = self.lanes.at(lane) {
                    entry.outlet.pass(at, record.len(), role, flags);
                }
                self.tally.routed += 1;
                match (kept, ends) {
                    (true, _) => self.keep(id, record, head),
                    (false, true) => self.forget(id),
                    (false, false) => {}
                }
            }
            Fate::Unknown(port) => {
                let again = self.now_ns.saturating_sub(connection.verdict_ns) >= TELL_AGAIN_NS;
                if again {
                    connection.verdict_ns = self.now_ns;
                }
                connection.unrouted += 1;
                self.tally.unrouted += 1;
                self.unknown_ports.count(port, 1);
                if ends {
                    self.forget(id);
                } else if again {
                    self.verdicts.ignore(key);
                }
            }
            Fate::Open => self.detect(id, record, head),
            Fate::Changing => self.retain_newer(id, record),
        }
    }

    /// Adds a connection with its first record.
    fn insert(&mut self, key: Key, head: &Head, record: &[u8]) -> ConnectionId {
        if let Some(quietest) = self.table.make_room() {
            self.release(quietest);
        }
        if key.tls {
            self.cover(key.connection);
        }
        let is_covered = !key.tls && self.table.find(Key { tls: true, ..key }).is_some();
        let id = self.table.insert(key, head, self.shape.ends(record));
        if let Some(connection) = self.table.at(id) {
            connection.is_covered = is_covered;
        }
        id
    }

    /// Retains a record of an undecided connection, and looks for its lane by port and signature.
    fn detect(&mut self, id: ConnectionId, record: &[u8], head: &Head) {
        let spare = &mut self.spare;
        let Some(connection) = self.table.at(id) else { return };
        let (role, not) = (connection.role, connection.not);
        let held = connection.held.get_or_insert_with(|| spare.pop().unwrap_or_default());
        let before = held.size();
        held.push(record, &self.shape, head);
        held.fresh += 1;
        self.held_bytes += held.size() - before;
        self.tally.held += 1;
        if let Some(lane) = self.lanes.pinned(head, role, not) {
            return self.assign(id, lane, None, head);
        }
        let found = self.lanes.matching(head, role, [self.shape.payload(record), held.beginning(head.direction)], not);
        connection.likely |= found.likely;
        match found.certain {
            Some((lane, sender)) => self.assign(id, lane, sender, head),
            None => {
                if !std::mem::replace(&mut connection.due, true) {
                    self.due.push(id);
                }
                self.make_room();
            }
        }
    }

    /// Assigns a connection to a lane, which gets its first records and all that follow. `sender` sent the record of `head`.
    pub(crate) fn assign(&mut self, id: ConnectionId, lane: usize, sender: Option<Sender>, head: &Head) {
        let Some(connection) = self.table.at(id) else { return };
        let Some(entry) = self.lanes.at(lane) else { return };
        let guessed = head.role == UNKNOWN || head.transport == UDP;
        if let Some(sender) = sender.filter(|_| guessed) {
            connection.role = if (sender == Sender::Client) == (head.direction == SENT) { CLIENT } else { SERVER };
            connection.sure_of_role = true;
        } else if connection.role == UNKNOWN {
            let ports = &entry.recogniser.description().ports;
            let serves = match (ports.contains(&head.local_port), ports.contains(&head.remote_port)) {
                (true, false) => true,
                (false, true) => false,
                _ => head.local_port < head.remote_port,
            };
            connection.role = if serves { SERVER } else { CLIENT };
        }
        connection.fate = Fate::Routed(lane);
        entry.connections += 1;
        let capture_bytes = entry.recogniser.description().capture_bytes;
        if let Some(held) = &mut connection.held {
            let flags = if connection.peer_local { PEER_LOCAL } else { 0 };
            connection.given = 0;
            for record in held.records() {
                entry.outlet.stash(record, connection.role, flags);
                connection.given += 1;
            }
            let fresh = u64::from(std::mem::take(&mut held.fresh));
            self.tally.routed += fresh;
            self.tally.held -= fresh;
            let before = held.size();
            held.trim(&self.shape);
            self.held_bytes -= before - held.size();
            self.trials.push_back((id, self.now_ns));
        }
        if capture_bytes != 0 && connection.verdict_ns == 0 {
            connection.verdict_ns = self.now_ns.max(1);
            let key = connection.key;
            self.verdicts.want(key, capture_bytes);
        }
        self.make_room();
    }

    /// Retains a record of a routed connection, in case its decoder rejects it.
    fn keep(&mut self, id: ConnectionId, record: &[u8], head: &Head) {
        let Some(connection) = self.table.at(id) else { return };
        if head.kind == END {
            self.trials.push_back((id, self.now_ns));
        }
        let Some(held) = connection.held.as_mut().filter(|held| !held.is_full()) else { return };
        let before = held.size();
        held.push(record, &self.shape, head);
        self.held_bytes += held.size() - before;
        if held.is_full() {
            self.trials.push_back((id, self.now_ns));
        }
        if held.is_full() && connection.verdict_ns == 0 {
            connection.verdict_ns = self.now_ns.max(1);
            let (key, fate) = (connection.key, connection.fate);
            let Fate::Routed(lane) = fate else { return };
            let capture_bytes = self.lanes.at(lane).map_or(0, |entry| entry.recogniser.description().capture_bytes);
            // The kernel need not look for a verdict before this record.
            self.verdicts.want(key, capture_bytes);
        }
        self.make_room();
    }

    /// Ends the conversation that a TLS library had over a closed connection.
    fn end_plaintext(&mut self, connection: u64, record: &[u8]) {
        let Some(id) = self.table.find(Key { connection, tls: true }) else { return };
        let Some(found) = self.table.at(id).filter(|found| !found.ended) else { return };
        found.ended = true;
        if let Fate::Unknown(_) = found.fate {
            return self.forget(id);
        }
        let mut end = record.to_vec();
        if let Some(flags) = end.get_mut(self.shape.flags) {
            *flags |= TLS;
        }
        let Some(head) = self.shape.head(&end) else { return };
        self.tally.doubled += 1;
        match found.fate {
            Fate::Routed(lane) => {
                let (role, flags) = (found.role, if found.peer_local { PEER_LOCAL } else { 0 });
                found.given += 1;
                let kept = found.held.is_some();
                if let Some(entry) = self.lanes.at(lane) {
                    entry.outlet.stash(&end, role, flags);
                }
                self.tally.routed += 1;
                if kept { self.keep(id, &end, &head) } else { self.forget(id) }
            }
            Fate::Changing => self.retain_newer(id, &end),
            Fate::Open | Fate::Unknown(_) => self.detect(id, &end, &head),
        }
    }
}
