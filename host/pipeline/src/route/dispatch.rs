//! Which record goes where: known connections at once, new ones by port, by signature, or by asking; and what follows when a
//! decoder says that it was given the wrong one.

mod changing;
mod leaving;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{Observer, PathCounters, Run, Sender, Stranger};

use super::held::Held;
use super::inbox::Message;
use super::lane::Time;
use super::lanes::{Lanes, bit};
use super::record::{CLIENT, DATA, END, FLUSH, Head, PEER_LOCAL, SENT, SERVER, Shape, TICK, TLS, UDP, UNKNOWN, walk};
use super::strangers::Strangers;
use super::table::{Fate, Key, MOST, Place, Table};
use super::verdicts::Verdicts;

/// For so long what a connection began with is kept, once enough of it is there or nothing more comes: a decoder has seen it by then,
/// twenty times over.
const TRIAL_NS: u64 = 1_000_000_000;
/// How long a lane may take to make room in a replay: one that needs longer is not read at all.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often the kernel is told again of a connection that it goes on sending: it remembers only those that were used last.
const TELL_AGAIN_NS: u64 = 1_000_000_000;

/// All that the router knows and counts.
pub(crate) struct Dispatch {
    pub(crate) shape: Shape,
    pub(crate) lanes: Lanes,
    pub(crate) verdicts: Verdicts,
    pub(crate) table: Table,
    strangers: Strangers,
    pub(crate) counters: Arc<PathCounters>,
    pub(crate) observer: Arc<dyn Observer>,
    /// Decoders may take so much time for being asked and no more. Not in a replay, which must not hang on how long it takes.
    pub(crate) is_timed: bool,
    tally: Tally,
    /// Connections that wait to be asked about.
    due: Vec<Place>,
    /// Routed connections whose first records are kept, oldest first, and since when.
    trials: VecDeque<(Place, u64)>,
    /// The same of connections that have said little so far.
    patient: VecDeque<Place>,
    held_bytes: usize,
    /// What lanes said and nobody has heard yet.
    messages: VecDeque<Message>,
    /// Conversations that change hands, and what is kept of them.
    changing: usize,
    changing_bytes: usize,
    /// Records that were handed to lanes which are gone.
    retired: u64,
    /// Emptied, to be used again; a connection holds them by a pointer because most have none.
    #[expect(clippy::vec_box, reason = "the box is what is used again")]
    spare: Vec<Box<Held>>,
    /// Time of the newest record.
    pub(crate) now_ns: u64,
    asking: super::asking::Asking,
}

/// What is done with records for which a lane has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// They are lost, and counted: the ring must not wait.
    Live,
    /// They wait for room until then: nothing comes after them.
    Draining(Instant),
    /// They wait for room, and each lane works on what it got before the next gets anything.
    InStep,
}

/// Records since they were last published.
#[derive(Default)]
struct Tally {
    received: u64,
    routed: u64,
    unrouted: u64,
    taken_back: u64,
    lost_in_change: u64,
    doubled: u64,
    notes: u64,
    /// Not since then: those that are held.
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
            strangers: Strangers::default(),
            counters,
            observer,
            tally: Tally::default(),
            due: Vec::new(),
            trials: VecDeque::new(),
            patient: VecDeque::new(),
            held_bytes: 0,
            messages: VecDeque::new(),
            changing: 0,
            changing_bytes: 0,
            retired: 0,
            spare: Vec::new(),
            now_ns: 0,
            asking: super::asking::Asking::default(),
        }
    }

    /// Finds the lane of every record of a run. [`Dispatch::deliver`] hands them over.
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

    /// Hands over what was routed.
    pub(crate) fn deliver(&mut self, run: &[u8], time: Time, haste: Haste) {
        let shape = self.shape;
        let until = match haste {
            Haste::Live => None,
            Haste::Draining(until) => Some(until),
            Haste::InStep => Some(Instant::now() + PATIENCE),
        };
        let Self { lanes, table, .. } = self;
        for (_, entry) in lanes.iter_mut().filter(|(_, entry)| entry.outlet.is_laden() || entry.is_stopping) {
            if entry.outlet.is_laden() {
                entry.touched = true;
                entry.outlet.set_time(time);
                entry.outlet.deliver(run, &shape, until);
                for key in entry.outlet.lost.drain(..) {
                    if let Some(connection) = table.find(key).and_then(|place| table.at(place)) {
                        connection.given = connection.given.saturating_sub(1);
                    }
                }
            }
            entry.is_stopping = false;
            if haste == Haste::InStep {
                entry.outlet.settle();
            }
        }
        self.publish();
    }

    /// Tells the lanes that time passes, and forgets what was kept for long enough.
    pub(crate) fn tick(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        while let Some(&(place, since)) = self.trials.front()
            && self.now_ns.saturating_sub(since) >= TRIAL_NS
        {
            self.trials.pop_front();
            self.review(place);
        }
        let deserted: Vec<usize> =
            self.lanes.iter_mut().filter(|(_, e)| e.outlet.is_deserted()).map(|(lane, _)| lane).collect();
        deserted.into_iter().for_each(|lane| self.dismiss(lane));
        let note = self.shape.note(TICK, now_ns);
        for (_, entry) in self.lanes.iter_mut() {
            // A decoder without connections has nothing to give up.
            if std::mem::take(&mut entry.touched) || entry.connections > 0 {
                entry.outlet.stash(&note, UNKNOWN, 0);
                self.tally.notes += 1;
            }
        }
    }

    /// Forgets connections of which nothing came for long.
    pub(crate) fn sweep(&mut self) {
        self.forget_patience();
        for place in self.table.quiet(self.now_ns) {
            if let Some(connection) = self.table.remove(place) {
                self.let_go(connection);
            }
        }
    }

    /// Nothing more comes: what is undecided stays unknown, and the lanes are told.
    pub(crate) fn flush(&mut self) {
        for place in self.table.places(|connection| connection.fate == Fate::Open) {
            self.give_up(place);
        }
        for place in self.table.places(|connection| connection.fate == Fate::Changing) {
            self.forget(place);
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
        for place in self.table.places(|connection| connection.fate == Fate::Routed(lane)) {
            self.give_up(place);
        }
        // Its number may be another's soon.
        for place in self.table.places(|connection| (connection.not | connection.likely) & bit(lane) != 0) {
            if let Some(connection) = self.table.at(place) {
                connection.not &= !bit(lane);
                connection.likely &= !bit(lane);
            }
        }
    }

    /// Looks again at connections that nobody knew: there is somebody new to ask.
    pub(crate) fn reconsider(&mut self) {
        let unknown = self.table.places(|connection| matches!(connection.fate, Fate::Unknown(_)));
        for place in unknown {
            if let Some(connection) = self.table.remove(place) {
                self.verdicts.forget(connection.key);
            }
        }
        self.verdicts.revise();
    }

    pub(crate) fn strangers(&self) -> Vec<Stranger> {
        self.strangers.all()
    }

    /// Moves the counters on.
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
        let place = match self.table.find(key) {
            Some(place) => place,
            None if head.kind == DATA => self.meet(key, head, record),
            None => return self.tally.unrouted += 1,
        };
        let Some(connection) = self.table.at(place) else { return };
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
                    (true, _) => self.keep(place, record, head),
                    (false, true) => self.forget(place),
                    (false, false) => {}
                }
            }
            Fate::Unknown(port) => {
                let again = self.now_ns.saturating_sub(connection.told_ns) >= TELL_AGAIN_NS;
                if again {
                    connection.told_ns = self.now_ns;
                }
                connection.unrouted += 1;
                self.tally.unrouted += 1;
                self.strangers.count(port, 1);
                if ends {
                    self.forget(place);
                } else if again {
                    self.verdicts.ignore(key);
                }
            }
            Fate::Open => self.consider(place, record, head),
            Fate::Changing => self.put_off(place, record),
        }
    }

    /// The first record of a connection.
    fn meet(&mut self, key: Key, head: &Head, record: &[u8]) -> Place {
        if let Some(quietest) = self.table.make_room() {
            self.let_go(quietest);
        }
        if key.tls {
            self.cover(key.connection);
        }
        let is_covered = !key.tls && self.table.find(Key { tls: true, ..key }).is_some();
        let place = self.table.insert(key, head, self.shape.ends(record));
        if let Some(connection) = self.table.at(place) {
            connection.is_covered = is_covered;
        }
        place
    }

    /// A record of a connection that is not decided.
    fn consider(&mut self, place: Place, record: &[u8], head: &Head) {
        let spare = &mut self.spare;
        let Some(connection) = self.table.at(place) else { return };
        let (role, not) = (connection.role, connection.not);
        let held = connection.held.get_or_insert_with(|| spare.pop().unwrap_or_default());
        let before = held.size();
        held.push(record, &self.shape, head);
        held.fresh += 1;
        self.held_bytes += held.size() - before;
        self.tally.held += 1;
        if let Some(lane) = self.lanes.pinned(head, role, not) {
            return self.decide(place, lane, None, head);
        }
        let found = self.lanes.matching(head, role, [self.shape.payload(record), held.beginning(head.direction)], not);
        connection.likely |= found.likely;
        match found.certain {
            Some((lane, sender)) => self.decide(place, lane, sender, head),
            None => {
                if !std::mem::replace(&mut connection.due, true) {
                    self.due.push(place);
                }
                self.make_room();
            }
        }
    }

    /// What a connection began with goes to its lane, and what follows too. `sender` is who sent the record of `head`.
    pub(crate) fn decide(&mut self, place: Place, lane: usize, sender: Option<Sender>, head: &Head) {
        let Some(connection) = self.table.at(place) else { return };
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
            self.trials.push_back((place, self.now_ns));
        }
        if capture_bytes != 0 && connection.told_ns == 0 {
            connection.told_ns = self.now_ns.max(1);
            let key = connection.key;
            self.verdicts.want(key, capture_bytes);
        }
        self.make_room();
    }

    /// Keeps a record of a connection that is routed, in case that was a mistake.
    fn keep(&mut self, place: Place, record: &[u8], head: &Head) {
        let Some(connection) = self.table.at(place) else { return };
        if head.kind == END {
            self.trials.push_back((place, self.now_ns));
        }
        let Some(held) = connection.held.as_mut().filter(|held| !held.is_full()) else { return };
        let before = held.size();
        held.push(record, &self.shape, head);
        self.held_bytes += held.size() - before;
        if held.is_full() {
            self.trials.push_back((place, self.now_ns));
        }
        if held.is_full() && connection.told_ns == 0 {
            connection.told_ns = self.now_ns.max(1);
            let (key, fate) = (connection.key, connection.fate);
            let Fate::Routed(lane) = fate else { return };
            let capture_bytes = self.lanes.at(lane).map_or(0, |entry| entry.recogniser.description().capture_bytes);
            // From here on the kernel need not look for a verdict any more.
            self.verdicts.want(key, capture_bytes);
        }
        self.make_room();
    }

    /// A closed connection ends the conversation that its TLS library had over it as well.
    fn end_plaintext(&mut self, connection: u64, record: &[u8]) {
        let Some(place) = self.table.find(Key { connection, tls: true }) else { return };
        let Some(found) = self.table.at(place).filter(|found| !found.ended) else { return };
        found.ended = true;
        if let Fate::Unknown(_) = found.fate {
            return self.forget(place);
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
                if kept { self.keep(place, &end, &head) } else { self.forget(place) }
            }
            Fate::Changing => self.put_off(place, &end),
            Fate::Open | Fate::Unknown(_) => self.consider(place, &end, &head),
        }
    }

    /// Asks about the connections that wait for it, and gives up those of which enough was seen.
    fn ask(&mut self) {
        if self.due.is_empty() {
            return;
        }
        let due = std::mem::take(&mut self.due);
        let mut asking = std::mem::take(&mut self.asking);
        asking.ask(self, &due);
        self.asking = asking;
        for &place in &due {
            let Some(connection) = self.table.at(place) else { continue };
            connection.due = false;
            let ended = connection.ended;
            let Some(held) = connection.held.as_mut().filter(|_| connection.fate == Fate::Open) else { continue };
            held.told();
            if ended || held.is_full() {
                self.give_up(place);
            }
        }
        self.due = due;
        self.due.clear();
    }
}
