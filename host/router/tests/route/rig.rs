//! A trunk without a kernel: records that a test pushes, decoders that are closures, verdicts in a map.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use host_model::{
    Beginnings, CallStats, Description, Digest, Disowned, Fault, FaultKind, KernelCounters, KernelPlan, Layout, MapAccess,
    MapError, Member, MemberKind, Opinion, PathCounters, PlanError, PluginId, Recogniser, Run, Sender, Signature, Source,
    SwitchPoint, Transport, Waker,
};
use host_router::{Router, RunLimits, Trunk, route};

pub(crate) const RECEIVED: u8 = 0;
pub(crate) const SENT: u8 = 1;
pub(crate) const CLIENT: u8 = 1;
pub(crate) const SERVER: u8 = 2;
pub(crate) const END: u8 = 1;
pub(crate) const TICK: u8 = 2;
pub(crate) const FLUSH: u8 = 3;
pub(crate) const TLS: u8 = 1;
pub(crate) const PEER_LOCAL: u8 = 4;
pub(crate) const LATER: u8 = 8;

/// One record as the test describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) time_ns: u64,
    pub(crate) connection: u64,
    pub(crate) local: u16,
    pub(crate) remote: u16,
    pub(crate) kind: u8,
    pub(crate) direction: u8,
    pub(crate) role: u8,
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) payload: Vec<u8>,
}

/// A client's call to a server at port 9000.
pub(crate) fn sent(connection: u64, payload: &[u8]) -> Record {
    Record {
        time_ns: 1,
        connection,
        local: 40_000 + u16::try_from(connection).unwrap(),
        remote: 9000,
        kind: 0,
        direction: SENT,
        role: CLIENT,
        flags: 0,
        sequence: 0,
        payload: payload.to_vec(),
    }
}

pub(crate) fn received(connection: u64, payload: &[u8]) -> Record {
    Record { direction: RECEIVED, ..sent(connection, payload) }
}

pub(crate) fn end(connection: u64) -> Record {
    Record { kind: END, ..sent(connection, b"") }
}

impl Record {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 104];
        bytes[..8].copy_from_slice(&self.time_ns.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.connection.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[28..32].copy_from_slice(&u32::try_from(self.payload.len()).unwrap().to_le_bytes());
        bytes[40] = 2;
        bytes[42..44].copy_from_slice(&self.local.to_le_bytes());
        bytes[44..46].copy_from_slice(&self.remote.to_le_bytes());
        (bytes[46], bytes[47], bytes[48], bytes[49], bytes[50]) = (self.kind, self.direction, self.role, 6, self.flags);
        (bytes[56], bytes[72]) = (127, 127);
        [bytes, self.payload.clone()].concat()
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let half = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        Self {
            time_ns: word(0),
            connection: word(8),
            local: half(42),
            remote: half(44),
            kind: bytes[46],
            direction: bytes[47],
            role: bytes[48],
            flags: bytes[50],
            sequence: u32::from_le_bytes(bytes[24..28].try_into().unwrap()),
            payload: bytes[104..].to_vec(),
        }
    }
}

/// The members of `struct l7_record` that the router reads.
pub(crate) fn layout() -> Layout {
    let members = [
        ("time_ns", 0, 8),
        ("connection", 8, 8),
        ("sequence", 24, 4),
        ("total", 28, 4),
        ("family", 40, 2),
        ("local_port", 42, 2),
        ("remote_port", 44, 2),
        ("kind", 46, 1),
        ("direction", 47, 1),
        ("role", 48, 1),
        ("transport", 49, 1),
        ("flags", 50, 1),
        ("local_address", 56, 16),
        ("remote_address", 72, 16),
        ("payload", 104, 0),
    ];
    let member = |(name, offset, size): (&str, u32, u32)| Member { name: name.into(), offset, size, kind: MemberKind::Bytes };
    Layout { name: "l7_record".into(), size: 104, members: members.map(member).to_vec() }
}

/// A ring that a test fills.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    state: Arc<Mutex<State>>,
    filled: Arc<Condvar>,
    pub(crate) ended: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    records: VecDeque<Vec<u8>>,
    produced: u64,
    woken: bool,
}

struct Reader {
    wire: Wire,
    run: Vec<u8>,
    taken: usize,
}

impl Wire {
    pub(crate) fn push(&self, records: impl IntoIterator<Item = Record>) {
        let mut state = self.state.lock().unwrap();
        for record in records {
            state.records.push_back(record.bytes());
            state.produced += 1;
        }
        state.woken = true;
        self.filled.notify_all();
    }

    /// Pushes bytes that are too short for a record.
    pub(crate) fn push_scrap(&self) {
        let mut state = self.state.lock().unwrap();
        state.records.push_back(vec![1; 50]);
        state.produced += 1;
    }
}

impl Waker for Wire {
    fn wake(&self) {
        self.state.lock().unwrap().woken = true;
        self.filled.notify_all();
    }
}

impl Source for Reader {
    fn wait(&mut self, _ready_bytes: usize, timeout: Duration) {
        let state = self.wire.state.lock().unwrap();
        let (mut state, _) = self.wire.filled.wait_timeout_while(state, timeout, |state| !state.woken).unwrap();
        state.woken = false;
    }

    fn waiting_bytes(&self) -> usize {
        self.wire.state.lock().unwrap().records.iter().map(Vec::len).sum()
    }

    fn run(&mut self, max_records: usize, _max_bytes: usize) -> Run<'_> {
        let state = self.wire.state.lock().unwrap();
        self.run.clear();
        self.taken = state.records.len().min(max_records);
        state.records.iter().take(self.taken).for_each(|record| Run::push(&mut self.run, record));
        drop(state);
        Run::parse(&self.run).unwrap()
    }

    fn release(&mut self) {
        self.wire.state.lock().unwrap().records.drain(..self.taken);
    }

    fn waiting_records(&mut self) -> u64 {
        self.wire.state.lock().unwrap().records.len() as u64
    }

    fn counters(&mut self) -> KernelCounters {
        KernelCounters { produced: self.wire.state.lock().unwrap().produced, ..KernelCounters::default() }
    }

    fn apply(&mut self, _plan: &KernelPlan) -> Result<(), PlanError> {
        Ok(())
    }

    fn ended(&self) -> bool {
        self.wire.ended.load(SeqCst)
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::new(self.wire.clone())
    }

    fn unix_offset_ns(&self) -> u64 {
        7
    }
}

/// The kernel's maps: values by map and key.
#[derive(Default)]
pub(crate) struct Maps(pub(crate) Mutex<Entries>);

type Entries = BTreeMap<(String, Vec<u8>), Vec<u8>>;

impl Maps {
    /// Returns verdict and bytes to capture.
    pub(crate) fn verdict(&self, connection: u64) -> Option<(u32, u32)> {
        let maps = self.0.lock().unwrap();
        let value = maps.get(&("l7_verdicts".to_owned(), connection.to_ne_bytes().to_vec()))?;
        Some((u32::from_ne_bytes(value[..4].try_into().unwrap()), u32::from_ne_bytes(value[4..].try_into().unwrap())))
    }
}

impl MapAccess for Maps {
    fn lookup(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        Ok(self.0.lock().unwrap().get(&(map.to_owned(), key.to_vec())).cloned())
    }

    fn update(&self, map: &str, key: &[u8], value: &[u8]) -> Result<(), MapError> {
        self.0.lock().unwrap().insert((map.to_owned(), key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&self, map: &str, key: &[u8]) -> Result<(), MapError> {
        self.0.lock().unwrap().remove(&(map.to_owned(), key.to_vec()));
        Ok(())
    }
}

type Rule = Box<dyn FnMut(&[u8]) -> Opinion + Send>;

/// Port, sender and payload of a question.
type Asked = (u32, u8, Vec<u8>);

/// A decoder whose opinions come from a closure.
pub(crate) struct Talk {
    id: PluginId,
    pub(crate) stats: Arc<CallStats>,
    pub(crate) description: Description,
    rule: Rule,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    pub(crate) faulty: bool,
}

/// A protocol that is certain of conversations that start with `prefix`.
pub(crate) fn talk(name: &str, prefix: &[u8]) -> Talk {
    let signatures = if prefix.is_empty() { Vec::new() } else { vec![signature(Sender::Either, prefix, true)] };
    let id = PluginId {
        slot: format!("decoder.{name}").into(),
        name: name.into(),
        version: "1".into(),
        digest: Digest([0; 32]),
        generation: 1,
    };
    Talk {
        id,
        stats: Arc::default(),
        description: Description { name: name.into(), signatures, ports: Vec::new(), capture_bytes: 0 },
        rule: Box::new(|_| Opinion::No),
        asked: Arc::default(),
        faulty: false,
    }
}

pub(crate) fn signature(sender: Sender, bytes: &[u8], certain: bool) -> Signature {
    Signature { sender, transport: Transport::Either, offset: 0, bytes: bytes.to_vec(), mask: Vec::new(), port: 0, certain }
}

impl Talk {
    pub(crate) fn asked(mut self, rule: impl FnMut(&[u8]) -> Opinion + Send + 'static) -> Self {
        self.rule = Box::new(rule);
        self
    }

    pub(crate) fn at_ports(mut self, ports: &[u16]) -> Self {
        self.description.ports = ports.to_vec();
        self
    }

    pub(crate) fn signed(mut self, signature: Signature) -> Self {
        self.description.signatures.push(signature);
        self
    }

    pub(crate) fn boxed(self) -> Box<dyn Recogniser> {
        Box::new(self)
    }
}

impl Recogniser for Talk {
    fn id(&self) -> &PluginId {
        &self.id
    }

    fn stats(&self) -> &Arc<CallStats> {
        &self.stats
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn recognise(&mut self, beginnings: &Beginnings) -> Result<Vec<Opinion>, Fault> {
        self.stats.record(beginnings.len() as u64, 1);
        if self.faulty {
            return Err(Fault { plugin: self.id.clone(), step: "recognise", kind: FaultKind::Trap, detail: "as asked".into() });
        }
        let mut opinions = Vec::new();
        for index in 0..beginnings.len() {
            let payload = beginnings.payload(index);
            self.asked.lock().unwrap().push((beginnings.ports[index], beginnings.senders[index], payload.to_vec()));
            opinions.push((self.rule)(payload));
        }
        Ok(opinions)
    }
}

/// A router with its lanes, which the test itself reads.
pub(crate) struct Rig {
    pub(crate) wire: Wire,
    pub(crate) maps: Arc<Maps>,
    pub(crate) router: Router,
    pub(crate) lanes: Vec<Box<dyn Source>>,
}

pub(crate) fn rig(talks: Vec<Talk>) -> Rig {
    pinned(talks, &[])
}

pub(crate) fn pinned(talks: Vec<Talk>, pins: &[(u16, &str)]) -> Rig {
    let (wire, maps) = (Wire::default(), Arc::new(Maps::default()));
    let trunk = trunk(&wire, &maps, pins, false);
    let (router, lanes) = route(trunk, talks.into_iter().map(Talk::boxed).collect()).unwrap();
    Rig { wire, maps, router, lanes }
}

/// Starts a router with this minimum of captured bytes per call.
pub(crate) fn capturing(capture_bytes: u32, talks: Vec<Talk>) -> Rig {
    let (wire, maps) = (Wire::default(), Arc::new(Maps::default()));
    let trunk = Trunk { capture_bytes, ..trunk(&wire, &maps, &[], false) };
    let (router, lanes) = route(trunk, talks.into_iter().map(Talk::boxed).collect()).unwrap();
    Rig { wire, maps, router, lanes }
}

pub(crate) fn trunk(wire: &Wire, maps: &Arc<Maps>, pins: &[(u16, &str)], in_step: bool) -> Trunk {
    Trunk {
        name: "l7".into(),
        source: Box::new(Reader { wire: wire.clone(), run: Vec::new(), taken: 0 }),
        layout: Arc::new(layout()),
        maps: Arc::clone(maps) as Arc<dyn MapAccess>,
        observer: Arc::new(()),
        counters: Arc::new(PathCounters::default()),
        limits: RunLimits { rows: 100, bytes: 256 * 1024, age: Duration::from_millis(2) },
        pins: pins.iter().map(|&(port, name)| (port, name.to_owned())).collect(),
        capture_bytes: 256,
        in_step,
    }
}

impl Rig {
    /// Waits until this many records were read from the trunk.
    pub(crate) fn settle(&self, records: u64) {
        until("all records are routed", || self.router.account(Duration::from_secs(20)).ledger.received == records);
        let ledger = self.router.account(Duration::from_secs(20)).ledger;
        assert!(ledger.balanced(), "{ledger:?}");
    }

    /// Returns the new records of a lane: connections and payloads.
    pub(crate) fn lane(&mut self, index: usize) -> Vec<(u64, String)> {
        let words = |record: Record| (record.connection, String::from_utf8(record.payload).unwrap());
        self.records(index).into_iter().filter(|record| record.kind == 0).map(words).collect()
    }

    /// Waits until one lane has returned a conversation and another has it.
    pub(crate) fn passes_on(&mut self, from: usize, to: usize) {
        until("the other has it", || {
            self.lanes[from].wait(1, Duration::from_millis(1));
            self.lanes[to].waiting_bytes() > 0
        });
    }

    pub(crate) fn records(&mut self, index: usize) -> Vec<Record> {
        read(&mut *self.lanes[index])
    }
}

/// A conversation that a decoder disowns from its beginning.
pub(crate) const fn whole(connection: u64) -> Disowned {
    Disowned { connection, tls: false, from: None }
}

/// A conversation that it disowns from a record of its last run on.
pub(crate) const fn from(connection: u64, record: u32, bytes: u32) -> Disowned {
    Disowned { connection, tls: false, from: Some(SwitchPoint { record, bytes }) }
}

/// Returns all records that wait in a source.
pub(crate) fn read(source: &mut dyn Source) -> Vec<Record> {
    let mut records = Vec::new();
    while source.waiting_bytes() > 0 {
        records.extend(source.run(10, 1 << 20).iter().map(Record::read));
        source.release();
    }
    records
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::yield_now();
    }
}
