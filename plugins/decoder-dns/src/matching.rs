//! Matches answers to questions. Answers come in any order, or never.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use plugin_sdk::conversation::{Began, Ending};
use serde::{Deserialize, Serialize};

use crate::waiting::{Answer, Lookup};

/// The waiting questions of one connection, or of one socket of a server, by the key that they share with their answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lookups {
    waiting: HashMap<u64, Lookup, BuildHasherDefault<IdentityHasher>>,
    /// Answers to a client that came before their questions were seen: another thread received them.
    early: Vec<(u64, Answer)>,
    /// Time of the last sweep for old questions.
    swept_ns: u64,
    /// Whether a message was parsed, which proves that the connection speaks DNS.
    pub(crate) is_confirmed: bool,
    /// Number of consecutive calls that could not be parsed.
    pub(crate) unreadable: u8,
}

/// A hasher for keys that are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct IdentityHasher(u64);

/// Maximum number of waiting questions of a socket. A server that answers 100,000 a second in 10 ms has 1,000.
const MAX_WAITING: usize = 4096;
/// Maximum number of responses held until their query is seen.
const MAX_EARLY: usize = 64;
/// Maximum time that an answer is held for its question; an older one was a repeated answer.
const EARLY_NS: u64 = 100_000_000;
/// Maximum number of waiting questions that are searched for an answer that does not repeat its question.
const MAX_SEARCHED: usize = 256;
/// Minimum interval between sweeps for old questions: each sweep visits all of them.
const SWEEP_INTERVAL_NS: u64 = 100_000_000;
/// Age from which a question is dropped in a sweep: resolvers ask again sooner.
const OLD_NS: u64 = 2_000_000_000;

// === impl Lookups ===

impl Lookups {
    /// Adds a question, sent to or by this peer. Returns it if the maximum is reached: see [`forget_old`](Self::forget_old).
    #[inline]
    pub(crate) fn add_question(&mut self, key: u64, peer: u64, is_server: bool, mut lookup: Lookup) -> Result<(), Lookup> {
        let has_room = self.waiting.len() < MAX_WAITING;
        match self.waiting.entry(key) {
            // Clients do not repeat a question whose answer is overdue: another question has the same id.
            Entry::Occupied(mut known) if known.get().began.is_given_up => {
                lookup.sent = [(peer, 1), (0, 0), (0, 0)];
                *known.get_mut() = lookup;
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count_repeat(peer, is_server);
                known.last_ns = lookup.began.time_ns;
            }
            Entry::Vacant(_) if !has_room => return Err(lookup),
            Entry::Vacant(place) => {
                lookup.sent = [(peer, 1), (0, 0), (0, 0)];
                place.insert(lookup);
            }
        }
        Ok(())
    }

    /// Whether the maximum of waiting questions is reached, and a sweep for old ones is due.
    pub(crate) fn needs_room(&mut self, now_ns: u64) -> bool {
        let is_due = self.waiting.len() >= MAX_WAITING && now_ns.saturating_sub(self.swept_ns) >= SWEEP_INTERVAL_NS;
        if is_due {
            self.swept_ns = now_ns;
        }
        is_due
    }

    /// Removes and returns the question of this answer. At a client, a question that was sent again is one question; at a server the
    /// repeated one may be that of another client, and each is answered.
    #[inline]
    pub(crate) fn take_answered(&mut self, key: u64, is_server: bool) -> Option<Lookup> {
        if is_server
            && let Some(known) = self.waiting.get_mut(&key)
            && known.retransmits > 0
        {
            let answered = Lookup { retransmits: 0, ..known.clone() };
            known.began.time_ns = known.last_ns;
            // Each gets a sequence number of its own.
            known.began.sequence = known.began.sequence.wrapping_add(2);
            known.retransmits -= 1;
            known.is_answered = true;
            return Some(answered);
        }
        self.waiting.remove(&key)
    }

    /// Stores an answer to a client whose question was not seen, because the question may still come.
    #[cold]
    pub(crate) fn keep_early(&mut self, key: u64, answer: Answer) {
        if self.early.len() >= MAX_EARLY {
            self.early.remove(0);
        }
        self.early.push((key, answer));
    }

    /// Removes and returns the answer that came before this question was seen.
    #[inline]
    pub(crate) fn take_early(&mut self, key: u64, now_ns: u64) -> Option<Answer> {
        if self.early.is_empty() {
            return None;
        }
        self.early.retain(|(_, answer)| now_ns.saturating_sub(answer.time_ns) < EARLY_NS);
        let at = self.early.iter().position(|(known, _)| *known == key)?;
        Some(self.early.remove(at).1)
    }

    /// Removes and returns the question of an answer that does not repeat it. Only a few questions are searched: a peer may send many such
    /// answers.
    #[cold]
    pub(crate) fn take_by_id(&mut self, id: u16) -> Option<Lookup> {
        if self.waiting.len() > MAX_SEARCHED {
            return None;
        }
        let key = self.waiting.iter().find(|(_, lookup)| lookup.id == id).map(|(key, _)| *key)?;
        self.waiting.remove(&key)
    }

    /// Returns the questions that have timed out, in the order in which they were asked. Those whose answers may still come stay for the
    /// same time again. A question that was asked again and answered once is not returned: the answer was for both.
    pub(crate) fn give_up(&mut self, why: &Ending) -> Vec<Lookup> {
        let mut given_up = Vec::new();
        self.waiting.retain(|_, lookup| {
            // A question that timed out before has been silent since then.
            let silent_since = Began { time_ns: lookup.last_ns, ..Began::default() };
            if !why.gives_up_silent(silent_since, lookup.last_ns) {
                return true;
            }
            let has_row = lookup.is_answered || lookup.began.is_given_up;
            if !has_row {
                given_up.push(lookup.clone());
            }
            (lookup.began.is_given_up, lookup.last_ns) = (true, why.time_ns());
            !has_row && !why.is_final()
        });
        sorted(given_up)
    }

    /// Removes old questions; returns those without a row.
    #[cold]
    pub(crate) fn forget_old(&mut self, now_ns: u64) -> Vec<Lookup> {
        let is_old = |lookup: &Lookup| now_ns.saturating_sub(lookup.began.time_ns) >= OLD_NS;
        let old = self.waiting.extract_if(|_, lookup| is_old(lookup)).map(|(_, lookup)| lookup);
        sorted(old.filter(|lookup| !lookup.is_answered && !lookup.began.is_given_up).collect())
    }

    /// Returns the number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.waiting.capacity() * (size_of::<(u64, Lookup)>() + 1) + self.early.capacity() * size_of::<(u64, Answer)>()
    }
}

fn sorted(mut lookups: Vec<Lookup>) -> Vec<Lookup> {
    lookups.sort_unstable_by_key(|lookup| (lookup.began.time_ns, lookup.began.sequence));
    lookups
}

// === impl IdentityHasher ===

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use plugin_sdk::conversation::Began;

    use super::{Lookup, Lookups, MAX_WAITING};

    fn lookup(time_ns: u64) -> Lookup {
        Lookup::new(7, Began { time_ns, sequence: 9, ..Began::default() }, b"a.", 1, 0)
    }

    #[test]
    fn a_client_s_retransmission_is_one_question_and_two_clients_are_two() {
        let mut lookups = Lookups::default();
        assert!(lookups.add_question(1, 8, false, lookup(10)).is_ok() && lookups.add_question(1, 8, false, lookup(20)).is_ok());
        let answered = lookups.take_answered(1, false).unwrap();
        assert_eq!((answered.began.time_ns, answered.retransmits), (10, 1));
        assert!(lookups.take_answered(1, false).is_none(), "the second answer is to nothing");
        assert!(lookups.add_question(2, 0, true, lookup(10)).is_ok() && lookups.add_question(2, 0, true, lookup(20)).is_ok());
        let times = [lookups.take_answered(2, true), lookups.take_answered(2, true)].map(|answer| answer.unwrap().began);
        assert_eq!((times[0].time_ns, times[1].time_ns), (10, 20));
        assert_ne!(times[0].sequence, times[1].sequence);
        assert!(lookups.take_answered(2, true).is_none());
        assert!(
            lookups.add_question(3, 0, true, lookup(10)).is_ok()
                && lookups.add_question(3, 0, true, lookup(20)).is_ok()
                && lookups.take_answered(3, true).is_some()
        );
        assert!(lookups.forget_old(1 << 40).is_empty(), "the answer was for both");
    }

    #[test]
    fn a_question_to_several_servers_at_once_is_no_retransmission() {
        let again = |peers: &[u64]| {
            let mut lookups = Lookups::default();
            assert!(peers.iter().all(|&peer| lookups.add_question(1, peer, false, lookup(10)).is_ok()));
            lookups.take_answered(1, false).unwrap().retransmits
        };
        assert_eq!([again(&[1]), again(&[1, 2, 3]), again(&[1, 2, 3, 4])], [0; 3]);
        assert_eq!([again(&[1, 1]), again(&[1, 2, 3, 1, 2, 3]), again(&[0, 0, 0])], [1, 1, 2]);
    }

    #[test]
    fn there_is_an_end_to_what_waits_and_old_ones_make_room() {
        let mut lookups = Lookups::default();
        assert!((0..MAX_WAITING as u64).all(|key| lookups.add_question(key, 0, true, lookup(key)).is_ok()));
        assert!(lookups.add_question(9999, 0, true, lookup(0)).is_err());
        assert!(lookups.needs_room(1 << 40) && !lookups.needs_room(1 << 40), "not looked for again so soon");
        assert_eq!(lookups.forget_old(2_000_000_099).len(), 100);
        assert!(lookups.add_question(9999, 0, true, lookup(0)).is_ok());
        assert_eq!(lookups.waiting.len(), MAX_WAITING - 99);
        assert!(lookups.weight() < 1 << 20);
    }
}
