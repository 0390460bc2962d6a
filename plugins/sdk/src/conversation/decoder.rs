//! The decoder for a protocol.

use super::description::{Beginning, Description, Opinion};
use super::early::Early;
use super::link::{Link, peer};
use super::record::{DATA, END, FLUSH, L7Record, LATER, TICK, TLS, UDP};
use super::rows::{Emit, Rows, Source};
use super::settings::Settings;
use super::sheet::Sheet;
use super::stream::Call;
use super::table::{Connections, Entry, Key, place};
use super::{Data, Disowned, Ending, Foreign, Kind, Protocol, Transport};
use crate::config::Config;
use crate::record::Record;
use crate::role::Decoder;
use crate::run::Records;
use crate::wit::{Column, Decoded, EventSchema, RecordLayout};

/// The [`Decoder`] of a [`Protocol`]: it puts the bytes of each end in order, and stores the connections.
pub struct Conversations<P: Protocol> {
    pub(crate) protocol: P,
    sheet: Sheet<P::Exchange>,
    rows: Rows<P::Exchange>,
    pub(crate) connections: Connections<P::Connection>,
    pub(crate) settings: Settings,
    /// Number of bytes of all connections on the heap.
    pub(crate) weight: usize,
    disowned: Vec<Disowned>,
    /// 0, 1, 2, ...: the indices of all rows of a batch.
    all: Vec<u32>,
}

// === impl Conversations ===

impl<P: Protocol> Decoder for Conversations<P> {
    fn expects(_: &str) -> Option<RecordLayout> {
        <L7Record<'static> as Record>::layout()
    }

    fn bind(_: &str, _: &RecordLayout, config: Config<'_>) -> Result<Self, String> {
        let (settings, rest) = Settings::split(config)?;
        let protocol = P::bind(Config::new(&rest))?;
        Ok(Self {
            sheet: protocol.sheet().named(P::description().name).counted_once(),
            protocol,
            rows: Rows::new(),
            connections: Connections::new(settings.connections),
            settings,
            weight: 0,
            disowned: Vec::new(),
            all: Vec::new(),
        })
    }

    fn schema(&self) -> &EventSchema {
        self.sheet.schema()
    }

    fn decode(&mut self, run: &[u8], fields: &[u32]) -> Result<Decoded, String> {
        self.rows.clear();
        let mut undecodable = Vec::new();
        let mut records = Records::new(run);
        for (index, record) in records.by_ref().enumerate() {
            if !self.take(record, index as u32) {
                undecodable.push(index as u32);
            }
        }
        if records.broken() {
            self.rows.clear();
            return Err("a record goes past the end of the run".into());
        }
        let rows = self.rows.len() as u32;
        self.all.extend(self.all.len() as u32..rows);
        let all = self.all.get(..rows as usize).unwrap_or_default();
        Ok(Decoded { rows, columns: self.sheet.columns(&self.rows, all, fields)?, undecodable })
    }

    fn complete(&mut self, _: &[u8], rows: &[u32], fields: &[u32]) -> Result<Vec<Column>, String> {
        match rows.last() {
            Some(&last) if last as usize >= self.rows.len() => {
                Err(format!("a row is not among the {} of the last decode", self.rows.len()))
            }
            _ => self.sheet.columns(&self.rows, rows, fields),
        }
    }
}

impl<P: Protocol> Conversations<P> {
    /// Returns how the host finds connections of this protocol.
    #[must_use]
    pub fn describe(&self) -> Description {
        P::description()
    }

    /// Whether a connection with this beginning speaks the protocol.
    #[must_use]
    pub fn recognise(&self, beginning: &Beginning<'_>) -> Opinion {
        self.protocol.recognise(beginning)
    }

    /// Returns the conversations that turned out to speak another protocol since the last call. They are dropped: the host takes them away,
    /// and if it gives one back, it starts anew.
    pub fn disowned(&mut self) -> Vec<Disowned> {
        let disowned = std::mem::take(&mut self.disowned);
        for &Disowned { connection, is_tls, .. } in &disowned {
            if let Some(entry) = self.connections.remove(Key { connection, is_tls }) {
                self.weight -= entry.weight;
            }
        }
        disowned
    }

    /// Handles the record with this index in the run; returns whether it is valid.
    #[inline]
    fn take(&mut self, bytes: &[u8], index: u32) -> bool {
        let Some(record) = L7Record::new(bytes) else { return false };
        match record.kind() {
            DATA => self.call(record, bytes, index),
            END => self.closed(record),
            TICK => self.passed(record.time_ns(), index),
            FLUSH => self.flush(record.time_ns()),
            _ => return false,
        }
        true
    }

    fn call(&mut self, record: L7Record<'_>, bytes: &[u8], index: u32) {
        let key = Key { connection: record.connection(), is_tls: record.flags() & TLS != 0 };
        if self.connections.used(key).is_none() {
            self.meet(key, record);
        }
        let Some(entry) = self.connections.used(key) else { return };
        entry.heard_ns = record.time_ns();
        if entry.source.link.renew(record) {
            entry.source.changed();
        }
        if entry.is_foreign {
            return;
        }
        if let Err(left) = in_turn(&mut self.protocol, entry, record, bytes, &mut self.rows) {
            let left = left.at(index, record.total());
            self.disowned.push(leave(&mut self.protocol, entry, left, record.time_ns(), &mut self.rows));
        }
        let weight = entry.kept() + P::weight(&entry.state);
        self.weight = self.weight - entry.weight + weight;
        entry.weight = weight;
        if self.weight > self.settings.buffer_bytes {
            self.make_lighter(record.time_ns());
        }
    }

    /// Drops connections until the others fit.
    #[cold]
    fn make_lighter(&mut self, now_ns: u64) {
        while self.weight > self.settings.buffer_bytes
            && let Some(entry) = self.connections.remove_oldest()
        {
            self.over(entry, &Ending::forgotten(now_ns));
        }
    }

    /// Handles a connection's first record.
    #[cold]
    fn meet(&mut self, key: Key, record: L7Record<'_>) {
        if self.connections.is_full()
            && let Some(entry) = self.connections.remove_oldest()
        {
            self.over(entry, &Ending::forgotten(record.time_ns()));
        }
        self.connections.add(Entry::new(key, Source::new(Link::new(record))));
    }

    fn closed(&mut self, record: L7Record<'_>) {
        for is_tls in [false, true] {
            if let Some(entry) = self.connections.remove(Key { connection: record.connection(), is_tls }) {
                self.over(entry, &Ending::closed(record.time_ns()));
            }
        }
    }

    /// Ends a connection that was removed from the table.
    fn over(&mut self, mut entry: Entry<P::Connection>, why: &Ending) {
        self.weight -= entry.weight;
        if !entry.is_foreign {
            let early = entry.early.all();
            let _ = each(&mut self.protocol, &mut entry, &early, &mut self.rows);
            self.protocol.end(&mut entry.state, why, &mut Emit::new(&mut self.rows, &mut entry.source));
        }
    }

    /// Handles the passing of time: requests without activity time out.
    fn passed(&mut self, now_ns: u64, index: u32) {
        let timeout_ns = self.settings.timeout_ns.unwrap_or(P::TIMEOUT_S.saturating_mul(1_000_000_000));
        let why = Ending::timeout(now_ns, timeout_ns);
        for entry in self.connections.each().filter(|entry| !entry.is_foreign) {
            let early = entry.early.overdue(now_ns);
            match each(&mut self.protocol, entry, &early, &mut self.rows) {
                Ok(()) => {
                    let why = why.heard(entry.heard_ns);
                    self.protocol.end(&mut entry.state, &why, &mut Emit::new(&mut self.rows, &mut entry.source));
                }
                Err(left) => {
                    let left = left.before().at(index, 0);
                    self.disowned.push(leave(&mut self.protocol, entry, left, now_ns, &mut self.rows));
                }
            }
            let weight = entry.kept() + P::weight(&entry.state);
            self.weight = self.weight - entry.weight + weight;
            entry.weight = weight;
        }
    }

    /// Handles the end of all records.
    fn flush(&mut self, now_ns: u64) {
        let why = Ending::forgotten(now_ns);
        while let Some(entry) = self.connections.remove_oldest() {
            self.over(entry, &why);
        }
    }
}

/// The place from which a connection speaks another protocol.
#[derive(Debug, Clone, Copy)]
enum Left {
    /// From its beginning.
    Whole,
    /// This many bytes behind the beginning of the current call.
    Behind(u32),
    /// At the next call.
    Next,
}

// === impl Left ===

impl Left {
    /// Returns the same relative to the current call, if it was found in a call that had waited and comes before it. Other calls that
    /// waited with it are not given back: their records are of earlier runs.
    const fn before(self) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Behind(_) | Self::Next => Self::Behind(0),
        }
    }

    /// Returns the same if it was found in a call that comes behind the current call.
    const fn behind(self) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Behind(_) | Self::Next => Self::Next,
        }
    }

    /// Returns it in terms of the contract: the current call is this record, and has this many bytes.
    const fn at(self, index: u32, total: u32) -> Option<(u32, u32)> {
        match self {
            Self::Whole => None,
            Self::Behind(bytes) if bytes == 0 || bytes < total => Some((index, bytes)),
            Self::Behind(_) | Self::Next => Some((index + 1, 0)),
        }
    }
}

/// Marks a conversation as another protocol's, from now on or from its beginning.
#[cold]
fn leave<P: Protocol>(
    protocol: &mut P,
    entry: &mut Entry<P::Connection>,
    from: Option<(u32, u32)>,
    time_ns: u64,
    rows: &mut Rows<P::Exchange>,
) -> Disowned {
    if from.is_some() {
        protocol.end(&mut entry.state, &Ending::forgotten(time_ns), &mut Emit::new(rows, &mut entry.source));
    }
    entry.is_foreign = true;
    entry.state = P::Connection::default();
    entry.streams = Default::default();
    entry.early = Early::default();
    Disowned { connection: entry.key.connection, is_tls: entry.key.is_tls, from }
}

/// Passes a call's bytes to the protocol: responses after their requests, even if they were seen before them.
#[inline]
fn in_turn<P: Protocol>(
    protocol: &mut P,
    entry: &mut Entry<P::Connection>,
    record: L7Record<'_>,
    bytes: &[u8],
    rows: &mut Rows<P::Exchange>,
) -> Result<(), Left> {
    let [sent, _] = &entry.streams;
    let opposite = record.opposite();
    let is_answer = opposite != 0 && entry.source.link.kind == Kind::Client;
    if is_answer && !(entry.early.is_empty() && sent.has_reached(opposite)) && !entry.early.is_full() {
        entry.early.hold(bytes);
        return Ok(());
    }
    if entry.early.is_empty() {
        return feed(protocol, entry, record, rows);
    }
    let (before, sent) =
        if is_answer { (entry.early.all(), None) } else { (entry.early.until(record.sequence()), Some(record.total())) };
    each(protocol, entry, &before, rows).map_err(Left::before)?;
    feed(protocol, entry, record, rows)?;
    let after = sent.map(|total| entry.early.until(record.sequence().wrapping_add(total)));
    each(protocol, entry, &after.unwrap_or_default(), rows).map_err(Left::behind)
}

/// Passes calls that waited for their turn to the protocol.
#[cold]
fn each<P: Protocol>(
    protocol: &mut P,
    entry: &mut Entry<P::Connection>,
    records: &[Vec<u8>],
    rows: &mut Rows<P::Exchange>,
) -> Result<(), Left> {
    records.iter().filter_map(|record| L7Record::new(record)).try_for_each(|record| feed(protocol, entry, record, rows))
}

/// Passes a call's bytes to the protocol.
#[inline]
fn feed<P: Protocol>(
    protocol: &mut P,
    entry: &mut Entry<P::Connection>,
    record: L7Record<'_>,
    rows: &mut Rows<P::Exchange>,
) -> Result<(), Left> {
    let (total, payload) = (record.total(), record.payload());
    let call = &Call {
        payload: payload.get(..total as usize).unwrap_or(payload),
        total,
        sequence: (record.transport() != UDP).then(|| record.sequence()),
        is_later: record.flags() & LATER != 0,
        time_ns: record.time_ns(),
    };
    let Entry { key, source, state, streams, .. } = entry;
    let sender = source.link.sender(record);
    let (transport, server_port, is_tls) = (source.link.transport, source.link.server.port, source.link.is_tls);
    let Some(stream) = streams.get_mut(place(sender)) else { return Ok(()) };
    source.seen_ns = call.time_ns;
    let arrival = stream.arrive(call);
    let mut emit = Emit::new(rows, source);
    if arrival.is_gap {
        protocol.gap(state, sender, &mut emit);
    }
    if arrival.is_by {
        protocol.gone_by(state, sender, call.time_ns, &mut emit);
    }
    if arrival.unread > 0 && !protocol.unread(state, sender, arrival.unread.into(), call.time_ns, &mut emit) {
        protocol.gap(state, sender, &mut emit);
    }
    let Some(offer) = arrival.offer else { return Ok(()) };
    let data = Data {
        sender,
        bytes: stream.bytes(&offer, call),
        missing: offer.missing,
        time_ns: call.time_ns,
        transport,
        call_start: offer.is_call_start(),
        server_port,
        connection: key.connection,
        is_tls,
        peer: if transport == Transport::Udp { peer(record) } else { 0 },
        earlier: offer.earlier,
        earlier_ns: offer.earlier_ns,
        sequence: offer.sequence,
    };
    let done = match protocol.data(state, &data, &mut emit) {
        Ok(done) => done,
        Err(Foreign::Whole) => return Err(Left::Whole),
        Err(Foreign::Behind(bytes)) => return Err(Left::Behind(offer.in_call(bytes))),
    };
    let done = stream.done(&offer, call, done);
    if done.is_by {
        protocol.gone_by(state, sender, call.time_ns, &mut emit);
    }
    if done.is_gap {
        protocol.gap(state, sender, &mut emit);
    }
    Ok(())
}
