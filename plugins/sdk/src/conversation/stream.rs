//! The bytes of one end, put in order: missing bytes, bytes to skip, bytes stored until more come.

use serde::{Deserialize, Serialize};

/// One direction of a connection. Either bytes are stored or bytes are to be skipped, never both.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// Sequence number of the next byte.
    next: u32,
    is_known: bool,
    /// Number of consecutive calls that came too late.
    late: u8,
    /// Number of bytes that the protocol skips.
    skip: u64,
    kept: Vec<u8>,
    /// Time of the first of the stored bytes.
    kept_ns: u64,
}

/// A call, from a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The captured bytes, no more than `total`.
    pub payload: &'a [u8],
    pub total: u32,
    /// Position in the stream; None for a datagram.
    pub sequence: Option<u32>,
    /// Whether bytes of the stream certainly came before it.
    pub is_later: bool,
    pub time_ns: u64,
}

/// The result of receiving a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Whether bytes of this end are missing before it.
    pub is_gap: bool,
    /// Whether the last of the bytes to skip has passed.
    pub is_by: bool,
    /// The bytes for the protocol; None if there are none.
    pub offer: Option<Offer>,
    /// Number of bytes behind it that cannot be read: they are a gap, unless the protocol can account for them.
    pub unread: u32,
}

/// The result of the bytes that the protocol consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// Whether the last of the bytes to skip was in the call.
    pub is_by: bool,
    /// Whether bytes are missing behind the consumed ones.
    pub is_gap: bool,
}

/// Bytes for the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Number of bytes of the call that were skipped.
    from: usize,
    /// Number of bytes that were stored from earlier calls; they come first.
    pub earlier: usize,
    /// Number of bytes of the call behind the payload.
    pub missing: u32,
    /// Sequence number of the first byte.
    pub sequence: u32,
    /// Time of the stored bytes.
    pub earlier_ns: u64,
}

/// Maximum number of bytes stored of one direction: a longer half message is dropped. 16 KiB: the largest TLS record, HTTP/2 frame (by
/// default) and DNS message over TCP of interest.
pub(crate) const KEPT: usize = 16 << 10;

/// Capacity that is retained when no bytes are stored: it saves the next call an allocation. All connections of a full table have 8 MiB.
const ROOM: usize = 512;

/// Maximum distance by which a call is late. One further behind counts anew.
const LATE: u32 = 1 << 20;

/// Number of consecutive late calls after which they are not late any more.
const LATE_IN_A_ROW: u8 = 8;

// === impl Stream ===

impl Stream {
    /// Receives a call.
    #[inline]
    pub(crate) fn arrive(&mut self, call: &Call<'_>) -> Arrival {
        let mut arrival = Arrival { is_gap: false, is_by: false, offer: None, unread: 0 };
        let was_skipping = self.skip > 0;
        if let Some(sequence) = call.sequence {
            if !self.is_known {
                // The bytes before it were lost, or went to another decoder.
                arrival.is_gap = call.is_later;
            } else if sequence != self.next {
                match self.out_of_order(call, sequence) {
                    None => return arrival,
                    Some(is_gap) => arrival.is_gap = is_gap,
                }
            }
            self.next = sequence.wrapping_add(call.total);
            self.is_known = true;
            self.late = 0;
        } else {
            self.clear();
        }
        let mut from = 0;
        if was_skipping && !arrival.is_gap {
            from = self.skip.min(u64::from(call.total)) as usize;
            self.skip -= from as u64;
            arrival.is_by = self.skip == 0;
            if from as u64 == u64::from(call.total) {
                return arrival;
            }
        }
        let Some(bytes) = call.payload.get(from..).filter(|bytes| !bytes.is_empty()) else {
            // None of its bytes can be read: it was not captured, or only the skipped part was.
            arrival.unread = if call.sequence.is_some() { call.total - from as u32 } else { 0 };
            self.clear();
            return arrival;
        };
        let mut earlier = self.kept.len();
        if earlier > 0 {
            if earlier + bytes.len() > KEPT {
                arrival.is_gap = true;
                self.clear();
                earlier = 0;
            } else {
                self.kept.extend_from_slice(bytes);
            }
        }
        let missing = call.total - call.payload.len() as u32;
        let sequence = call.sequence.unwrap_or(0).wrapping_add(from as u32).wrapping_sub(earlier as u32);
        arrival.offer = Some(Offer { from, earlier, missing, sequence, earlier_ns: self.kept_ns });
        arrival
    }

    /// Returns the offered bytes.
    #[inline]
    pub(crate) fn bytes<'a>(&'a self, offer: &Offer, call: &Call<'a>) -> &'a [u8] {
        if offer.earlier > 0 { &self.kept } else { call.payload.get(offer.from..).unwrap_or_default() }
    }

    /// Consumes `done` bytes of those offered to the protocol.
    #[inline]
    pub(crate) fn done(&mut self, offer: &Offer, call: &Call<'_>, done: usize) -> Done {
        let len = self.bytes(offer, call).len();
        if done >= len {
            if offer.earlier > 0 {
                self.clear();
            }
            if call.sequence.is_none() {
                return Done { is_by: false, is_gap: false };
            }
            let over = (done - len) as u64;
            let missing = u64::from(offer.missing);
            self.skip = over.saturating_sub(missing);
            return Done { is_by: over > 0 && self.skip == 0, is_gap: over < missing };
        }
        if offer.missing > 0 || len - done > KEPT || call.sequence.is_none() {
            self.clear();
            // The rest of a datagram is not continued by the next one.
            return Done { is_by: false, is_gap: call.sequence.is_some() };
        }
        if offer.earlier > 0 {
            self.kept.drain(..done);
        } else {
            let bytes = call.payload.get(offer.from + done..).unwrap_or_default();
            self.kept.extend_from_slice(bytes);
        }
        if done >= offer.earlier {
            self.kept_ns = call.time_ns;
        }
        Done { is_by: false, is_gap: false }
    }

    /// Whether all calls up to this sequence number have arrived.
    #[inline]
    pub(crate) const fn has_reached(&self, sequence: u32) -> bool {
        self.is_known && !is_before(self.next, sequence)
    }

    /// Returns the number of stored bytes.
    pub(crate) const fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Drops a half-read message.
    pub(crate) fn clear(&mut self) {
        self.skip = 0;
        if self.kept.capacity() > ROOM {
            self.kept = Vec::new();
        } else {
            self.kept.clear();
        }
    }

    /// Handles a call that does not follow the one before: returns None if it is to be ignored, else whether bytes are missing before it.
    #[cold]
    fn out_of_order(&mut self, call: &Call<'_>, sequence: u32) -> Option<bool> {
        let ahead = sequence.wrapping_sub(self.next);
        let behind = self.next.wrapping_sub(sequence);
        if behind <= LATE && call.total <= behind && self.late < LATE_IN_A_ROW {
            self.late += 1;
            return None;
        }
        if ahead < 1 << 31 && u64::from(ahead) <= self.skip {
            self.skip -= u64::from(ahead);
            return Some(false);
        }
        self.clear();
        Some(true)
    }
}

/// Whether one sequence number comes before another, modulo 2^32.
pub(crate) const fn is_before(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}

// === impl Offer ===

impl Offer {
    /// Whether the first byte is the first of a call.
    pub(crate) const fn is_call_start(&self) -> bool {
        self.from == 0 && self.earlier == 0
    }

    /// Returns the offset in the call behind this many of the offered bytes. Bytes stored from earlier calls precede it.
    #[cold]
    pub(crate) fn in_call(&self, bytes: usize) -> u32 {
        u32::try_from(self.from.saturating_add(bytes.saturating_sub(self.earlier))).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Call, KEPT, Stream};

    /// A call with these bytes, and with `missing` more that were not captured.
    fn call(sequence: u32, payload: &[u8], missing: u32) -> Call<'_> {
        Call {
            payload,
            total: payload.len() as u32 + missing,
            sequence: Some(sequence),
            is_later: false,
            time_ns: u64::from(sequence),
        }
    }

    /// Returns the bytes that a stream offers when the protocol consumes `done` bytes of each call: text of the bytes, `!` for each gap,
    /// `.` where the last of the bytes to skip has passed.
    fn told(stream: &mut Stream, call: &Call<'_>, done: usize) -> String {
        let Arrival { is_gap, is_by, offer, unread } = stream.arrive(call);
        let mark = |is_by: bool, is_gap: bool| [if is_by { "." } else { "" }, if is_gap { "!" } else { "" }].concat();
        let mut told = [mark(false, is_gap), mark(is_by, unread > 0)].concat();
        if let Some(offer) = offer {
            told += &String::from_utf8_lossy(stream.bytes(&offer, call));
            let done = stream.done(&offer, call, done);
            told += &mark(done.is_by, done.is_gap);
        }
        told
    }

    #[test]
    fn what_is_left_comes_again_with_more() {
        let mut stream = Stream::default();
        assert_eq!(told(&mut stream, &call(0, b"abc", 0), 1), "abc");
        assert_eq!(told(&mut stream, &call(3, b"d", 0), 0), "bcd");
        assert_eq!(told(&mut stream, &call(4, b"ef", 0), 5), "bcdef");
        assert_eq!(told(&mut stream, &call(6, b"g", 0), 1), "g");
    }

    #[test]
    fn more_than_there_is_goes_by_unseen_even_where_it_is_lost() {
        let mut stream = Stream::default();
        assert_eq!(told(&mut stream, &call(0, b"ab", 0), 12), "ab");
        assert_eq!(told(&mut stream, &call(2, b"xxxx", 1), 0), "", "5 of 10");
        assert_eq!(told(&mut stream, &call(10, b"xxNEXT", 0), 4), ".NEXT", "3 were lost, 2 went by");
    }

    #[test]
    fn what_is_lost_beyond_that_is_a_gap() {
        let mut stream = Stream::default();
        assert_eq!(told(&mut stream, &call(0, b"ab", 0), 4), "ab");
        assert_eq!(told(&mut stream, &call(5, b"cd", 0), 2), "!cd");
        assert_eq!(told(&mut stream, &call(7, b"ef", 0), 1), "ef");
        assert_eq!(told(&mut stream, &call(10, b"g", 0), 1), "!g", "what was kept is void");
    }

    #[test]
    fn what_is_lost_before_the_first_call_is_a_gap_where_the_probe_knows_of_it() {
        let later = |sequence, payload| Call { is_later: true, ..call(sequence, payload, 0) };
        assert_eq!(told(&mut Stream::default(), &call(7, b"ab", 0), 2), "ab", "the connection may be older than the probe");
        let mut stream = Stream::default();
        assert_eq!(told(&mut stream, &later(7, b"ab"), 2), "!ab");
        assert_eq!(told(&mut stream, &later(9, b"cd"), 2), "cd");
        assert_eq!(told(&mut Stream::default(), &later(7, b""), 0), "!", "and nothing that could be read");
    }

    #[test]
    fn bytes_behind_a_cut_call_go_by_or_are_a_gap() {
        let mut stream = Stream::default();
        assert_eq!(told(&mut stream, &call(0, b"ab", 10), 12), "ab.", "the protocol knew of them");
        assert_eq!(told(&mut stream, &call(12, b"cd", 10), 5), "cd.!", "and here of some");
        assert_eq!(told(&mut stream, &call(24, b"ef", 10), 1), "ef!", "and here of none");
        assert_eq!(told(&mut stream, &call(36, b"", 10), 0), "!", "nothing was captured");
        assert_eq!(told(&mut stream, &call(46, b"gh", 0), 2), "gh");
        assert_eq!(told(&mut stream, &call(48, b"ab", 10), 15), "ab");
        assert_eq!(told(&mut stream, &call(60, b"", 9), 0), ".!", "3 went by");
    }

    #[test]
    fn a_late_call_is_left_out_unless_they_all_are_late() {
        let mut stream = Stream::default();
        assert_eq!(told(&mut stream, &call(u32::MAX - 1, b"abcd", 0), 4), "abcd", "the numbers begin anew at 2^32");
        assert_eq!(told(&mut stream, &call(2, b"ef", 0), 2), "ef");
        assert_eq!(told(&mut stream, &call(0, b"cd", 0), 2), "");
        assert_eq!(told(&mut stream, &call(4, b"gh", 0), 2), "gh");
        assert_eq!(told(&mut stream, &call(3_000_000, b"ij", 0), 2), "!ij");
        let told: Vec<_> = (0..9).map(|n| told(&mut stream, &call(2_999_000 + n, b"k", 0), 1)).collect();
        assert_eq!(told.concat(), "!k", "the counter was set back");
    }

    #[test]
    fn no_more_than_the_cap_is_kept() {
        let mut stream = Stream::default();
        let half = vec![b'x'; KEPT / 2 + 1];
        assert_eq!(told(&mut stream, &call(0, &half, 0), 0).len(), half.len());
        let again = told(&mut stream, &call(half.len() as u32, &half, 0), 0);
        assert_eq!(again.len(), half.len() + 1, "a gap, and the new bytes alone");
        assert!(stream.kept() <= KEPT);
    }

    #[test]
    fn datagrams_do_not_follow_each_other() {
        let mut stream = Stream::default();
        let datagram = |payload| Call { payload, total: 9, sequence: None, is_later: false, time_ns: 0 };
        assert_eq!(told(&mut stream, &datagram(b"abc"), 1), "abc");
        assert_eq!(told(&mut stream, &datagram(b"def"), 99), "def");
        assert_eq!(told(&mut stream, &datagram(b"ghi"), 3), "ghi", "nothing is missing in a stream that is none");
        assert_eq!(told(&mut stream, &datagram(b""), 0), "");
    }
}
