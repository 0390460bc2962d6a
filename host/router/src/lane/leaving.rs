//! Conversations that leave a lane because its decoder rejected them: their unread records are returned to the router.

use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashMap;
use host_model::run::{DISCARDED, HEADER, payload_len, slot_len};
use host_model::{Disowned, Run, SwitchPoint};

use crate::inbox::{Inbox, Message, Returned, Ticket};
use crate::record::{Key, Shape, walk};

/// Maximum number of conversations that leave a lane at once: as many as the router tracks.
const MOST: usize = crate::table::MOST;
/// Maximum bytes returned of one conversation. 1 MiB: 2,900 calls at the default capture.
const MOST_OF_ONE: usize = 1 << 20;
/// Maximum bytes returned of all conversations that leave at the same time.
const MOST_OF_ALL: usize = 8 << 20;

/// The conversations that are leaving.
pub(crate) struct Leaving {
    ticket: Ticket,
    shape: Shape,
    inbox: Arc<Inbox>,
    all: HashMap<Key, Going, FixedState>,
    bytes: usize,
}

/// A conversation that is leaving.
#[derive(Default)]
struct Going {
    returned: Returned,
    /// The end of its records in the buffer that is searched, if the router has stopped there.
    until: Option<usize>,
}

// === impl Leaving ===

impl Leaving {
    pub(crate) fn new(ticket: Ticket, shape: Shape, inbox: Arc<Inbox>) -> Self {
        Self { ticket, shape, inbox, all: HashMap::default(), bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Starts to return these conversations. `run` is the run that the decoder has just read, and stays as it is. Returns false if none
    /// leaves: they are leaving already, or the router accepts none.
    pub(super) fn begin(&mut self, disowned: &[Disowned], run: &[u8]) -> bool {
        let mut points: HashMap<Key, Option<SwitchPoint>, FixedState> = HashMap::default();
        let mut keys = Vec::new();
        for &Disowned { connection, tls, from } in disowned {
            let key = Key { connection, tls };
            if self.all.contains_key(&key) || self.all.len() + points.len() >= MOST {
                continue;
            }
            let point = points.entry(key).or_insert_with(|| {
                keys.push(key);
                from
            });
            // The earliest of several counts; None is the beginning.
            *point = (*point).min(from);
        }
        let ticket = self.ticket;
        let whole = |key: &Key| points.get(key).is_some_and(Option::is_none);
        let messages = keys.iter().map(|key| Message::Disowned { ticket, key: *key, whole: whole(key) });
        if keys.is_empty() || !self.inbox.send(messages) {
            return false;
        }
        self.all.extend(keys.iter().map(|key| (*key, Going::default())));
        for (index, (_, record)) in (0..).zip(walk(Run { bytes: run, records: 0 })) {
            let Some(key) = self.shape.key(record) else { continue };
            match points.get(&key) {
                None => {}
                Some(Some(point)) if index < point.record => {}
                Some(Some(point)) if index == point.record && point.bytes > 0 => {
                    if let Some(rest) = self.shape.behind(record, point.bytes) {
                        self.keep(key, &rest);
                    }
                }
                Some(_) => self.keep(key, record),
            }
        }
        true
    }

    /// Takes their records out of the unread ones, and returns their number. `stops` are conversations whose delivery has stopped, each
    /// with the position behind its last record.
    pub(super) fn sift(&mut self, unread: &mut [u8], stops: &[(Key, usize)]) -> u64 {
        for (key, until) in stops {
            if let Some(going) = self.all.get_mut(key) {
                going.until = Some(*until);
            }
        }
        let (mut at, mut removed) = (0, 0);
        while let Some((header, _)) = unread.get(at..).and_then(<[u8]>::split_first_chunk::<4>) {
            let header = u32::from_le_bytes(*header);
            let (place, next) = (at, at + slot_len(header));
            let body = place + HEADER..place + HEADER + payload_len(header);
            at = next;
            let Some(record) = unread.get(body).filter(|_| header & DISCARDED == 0) else { continue };
            let leaves = |key: &Key| self.all.get(key).is_some_and(|going| going.until.is_none_or(|until| place < until));
            let Some(key) = self.shape.key(record).filter(leaves) else { continue };
            self.keep(key, record);
            removed += 1;
            if let Some(header_bytes) = unread.get_mut(place..place + 4) {
                header_bytes.copy_from_slice(&(header | DISCARDED).to_le_bytes());
            }
        }
        removed
    }

    /// Returns the records taken out of these conversations, once all records up to the stop were read.
    pub(super) fn finish(&mut self, stops: &[(Key, usize)]) {
        let messages: Vec<Message> = stops.iter().filter_map(|(key, _)| self.message(*key)).collect();
        if !messages.is_empty() {
            self.inbox.send(messages);
        }
    }

    /// Returns everything: the lane has lost its reader.
    pub(super) fn abandon(&mut self) {
        let stops: Vec<(Key, usize)> = self.all.keys().map(|key| (*key, 0)).collect();
        self.finish(&stops);
    }

    fn message(&mut self, key: Key) -> Option<Message> {
        let Going { returned, .. } = self.all.remove(&key)?;
        self.bytes -= returned.bytes.len();
        Some(Message::Returned { ticket: self.ticket, key, returned })
    }

    fn keep(&mut self, key: Key, record: &[u8]) {
        let Some(Going { returned, .. }) = self.all.get_mut(&key) else { return };
        let needs = slot_len(u32::try_from(record.len()).unwrap_or(u32::MAX));
        if returned.bytes.len() + needs > MOST_OF_ONE || self.bytes + needs > MOST_OF_ALL {
            returned.lost += 1;
            return;
        }
        self.bytes += needs;
        returned.records += 1;
        Run::push(&mut returned.bytes, record);
    }
}
