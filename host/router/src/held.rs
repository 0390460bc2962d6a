//! The first records of a connection: retained until its protocol is known, and a while longer, in case the decoder rejects it.

use host_model::Run;

use crate::record::{Head, LATER, SENT, Shape};

/// Number of calls after which the protocol of a connection counts as unknown.
const CALLS: u32 = 8;
/// Number of bytes of payload after which it counts as unknown.
const BYTES: usize = 2048;
/// Capacity that a buffer shrinks to when it is trimmed.
const ROOMY: usize = 16 << 10;
/// Maximum number of first bytes of an end that a recogniser gets, if they came in pieces.
const FIRST: usize = 256;

/// The first records of one connection, both ends.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The records, framed as in a run.
    bytes: Vec<u8>,
    /// Number of records that are counted neither as routed nor as unrouted yet.
    pub(crate) fresh: u32,
    calls: u32,
    payload: usize,
    /// First bytes that were received, and those that were sent.
    ends: [Beginning; 2],
}

/// The first bytes of one end.
#[derive(Debug, Default)]
struct Beginning {
    bytes: Vec<u8>,
    /// Whether `bytes` has no gap, and more may follow.
    grows: bool,
    spoke: bool,
    /// Whether it changed since decoders were asked about it.
    news: bool,
}

// === impl Held ===

impl Held {
    /// Number of records after which enough was seen.
    pub(crate) const ENOUGH: usize = CALLS as usize;

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &[u8], shape: &Shape, head: &Head) {
        Run::push(&mut self.bytes, record);
        let payload = shape.payload(record);
        self.calls += 1;
        self.payload += payload.len();
        let [received, sent] = &mut self.ends;
        let end = if head.direction == SENT { sent } else { received };
        end.add(payload, payload.len() == head.total as usize);
    }

    /// Whether enough was seen.
    pub(crate) fn is_full(&self) -> bool {
        self.calls >= CALLS || self.payload >= BYTES
    }

    /// The number of bytes of all records.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The records.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        // The bytes come from `push`, so nothing is discarded; the count is not used.
        crate::record::walk(Run { bytes: &self.bytes, records: 0 }).map(|(_, record)| record)
    }

    /// The first bytes of the end in this direction.
    pub(crate) fn beginning(&self, direction: u8) -> &[u8] {
        let [received, sent] = &self.ends;
        if direction == SENT { &sent.bytes } else { &received.bytes }
    }

    /// The ends that decoders were not asked about yet: direction and first bytes.
    pub(crate) fn news(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let news = |(direction, end): (u8, &'_ Beginning)| end.news.then_some(direction);
        let all = [(0, &self.ends[0]), (SENT, &self.ends[1])];
        all.into_iter().filter_map(news).map(|direction| (direction, self.beginning(direction)))
    }

    /// Makes the first record of each end the first of a conversation: earlier bytes belong to another.
    pub(crate) fn begin_here(&mut self, shape: &Shape) {
        let mut firsts = [None; 2];
        for (at, record) in crate::record::walk(Run { bytes: &self.bytes, records: 0 }) {
            let first = shape.head(record).and_then(|head| firsts.get_mut(usize::from(head.direction == SENT)));
            if let Some(first) = first {
                first.get_or_insert(at);
            }
        }
        for at in firsts.into_iter().flatten() {
            if let Some(flags) = self.bytes.get_mut(at + shape.flags) {
                *flags &= !LATER;
            }
        }
    }

    /// Drops the records beyond the number that is enough.
    pub(crate) fn trim(&mut self, shape: &Shape) {
        let (mut length, mut calls, mut payload) = (0, 0, 0);
        for (at, record) in crate::record::walk(Run { bytes: &self.bytes, records: 0 }) {
            if calls >= CALLS || payload >= BYTES {
                break;
            }
            (calls, payload) = (calls + 1, payload + shape.payload(record).len());
            length = (at + record.len()).next_multiple_of(8);
        }
        self.bytes.truncate(length);
        self.bytes.shrink_to(ROOMY);
    }

    /// Notes that all decoders were asked.
    pub(crate) fn mark_asked(&mut self) {
        self.ends.iter_mut().for_each(|end| end.news = false);
    }

    /// Marks everything as new, so that decoders are asked about it again.
    pub(crate) fn mark_all_news(&mut self) {
        self.ends.iter_mut().for_each(|end| end.news = end.spoke);
    }

    /// Drops all records, and keeps the buffers.
    pub(crate) fn clear(&mut self) {
        let Self { bytes, fresh, calls, payload, ends } = self;
        bytes.clear();
        (*fresh, *calls, *payload) = (0, 0, 0);
        for end in ends {
            end.bytes.clear();
            (end.grows, end.spoke, end.news) = (false, false, false);
        }
    }
}

// === impl Beginning ===

impl Beginning {
    /// Adds the bytes of a call. A later call starts anew if the first ones have a gap: a connection that is older than the probe starts
    /// anywhere.
    fn add(&mut self, payload: &[u8], whole: bool) {
        if payload.is_empty() {
            // The bytes after a gap do not belong to the beginning.
            self.grows = false;
            return;
        }
        let first = !std::mem::replace(&mut self.spoke, true);
        if !first && !self.grows {
            // Decoders are first asked about the bytes that are there.
            if self.news {
                return;
            }
            self.bytes.clear();
        }
        let room = FIRST.saturating_sub(self.bytes.len()).max(if self.bytes.is_empty() { payload.len() } else { 0 });
        self.bytes.extend_from_slice(payload.get(..room).unwrap_or(payload));
        self.grows = (first || self.grows) && whole && self.bytes.len() < FIRST;
        self.news = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::layout;

    fn held(calls: &[(u8, &[u8], u32)]) -> Held {
        let shape = Shape::of(&layout()).unwrap();
        let mut held = Held::default();
        for &(direction, payload, total) in calls {
            let mut record = shape.note(0, 0);
            record[47] = direction;
            record[28..32].copy_from_slice(&total.to_le_bytes());
            record.extend_from_slice(payload);
            held.push(&record, &shape, &shape.head(&record).unwrap());
        }
        held
    }

    #[test]
    fn first_bytes_that_come_in_pieces_are_put_together() {
        let held = held(&[(1, b"GE", 2), (1, b"T /", 3), (0, b"HTTP", 900), (0, b"body", 4)]);
        assert_eq!(held.news().collect::<Vec<_>>(), [(0, &b"HTTP"[..]), (1, &b"GET /"[..])]);
        assert_eq!(held.records().count(), 4);
    }

    #[test]
    fn a_later_call_is_a_beginning_once_the_first_was_asked_about() {
        let mut held = held(&[(1, b"end of a body", 900)]);
        held.mark_asked();
        assert_eq!(held.news().count(), 0);
        let shape = Shape::of(&layout()).unwrap();
        let mut record = shape.note(0, 0);
        record[47] = 1;
        record[28] = 4;
        record.extend_from_slice(b"GET ");
        held.push(&record, &shape, &shape.head(&record).unwrap());
        assert_eq!(held.news().collect::<Vec<_>>(), [(1, &b"GET "[..])]);
    }

    #[test]
    fn eight_calls_or_two_kibibytes_are_enough() {
        assert!(!held(&[(1, &b"x"[..], 1); 7]).is_full());
        assert!(held(&[(1, &b"x"[..], 1); 8]).is_full());
        assert!(held(&[(1, &[0; 2048], 2048)]).is_full());
    }

    #[test]
    fn what_is_used_again_remembers_nothing() {
        let mut held = held(&[(1, b"x", 1)]);
        held.clear();
        assert_eq!((held.size(), held.news().count(), held.records().count()), (0, 0, 0));
    }
}
