//! Questions that wait for their answers. Answers come in any order, or never.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use plugin_sdk::conversation::{Began, Ending, Short};
use serde::{Deserialize, Serialize};

/// The questions of one connection, or of one socket of a server, by what they have in common with their answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Lookups {
    waiting: HashMap<u64, Lookup, BuildHasherDefault<Mixed>>,
    /// Answers to a client that came before their questions were seen: another thread received them.
    early: Vec<(u64, Answer)>,
    /// When it was last looked for old ones, because there were too many.
    looked_ns: u64,
    /// One message was understood.
    pub(crate) is_sure: bool,
    /// Calls in a row that made no sense.
    pub(crate) nonsense: u8,
}

/// One question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lookup {
    pub id: u16,
    pub began: Began,
    pub name: Short,
    pub question: u16,
    pub opcode: u8,
    /// Times that it came again since, to a server that had it before.
    pub again: u16,
    /// The servers that it was sent to, as numbers, and how many times to each.
    sent: [(u64, u16); SERVERS],
    /// When it last came.
    last_ns: u64,
    /// One of several was answered.
    is_answered: bool,
}

/// What is said of a question.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub time_ns: u64,
    pub code: u16,
    pub answers: u16,
    pub is_truncated: bool,
}

/// Hashes what is a hash already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mixed(u64);

/// Maximum questions of a socket that wait for their answers. A server that answers 100,000 a second in 10 ms has 1,000.
const MOST: usize = 4096;
/// Servers that a question may be sent to at once: musl asks all that `resolv.conf` has, and reads three of them.
const SERVERS: usize = 3;
/// Maximum number of responses held until their query is seen.
const MOST_EARLY: usize = 64;
/// An answer that has waited so long for its question was to nothing: a repeated one.
const EARLY_NS: u64 = 100_000_000;
/// An answer without its question is looked for among so many.
const FEW: usize = 256;
/// It is not looked for old ones more often than this, because all have to be looked at.
const LOOKED_NS: u64 = 100_000_000;
/// With too many waiting, one that is so old will not be answered: resolvers ask again sooner.
const OLD_NS: u64 = 2_000_000_000;

// === impl Lookups ===

impl Lookups {
    /// A question, sent to or by this peer. It comes back if there is no room for it: see [`forget_old`](Self::forget_old).
    #[inline]
    pub(crate) fn ask(&mut self, key: u64, peer: u64, is_server: bool, mut lookup: Lookup) -> Result<(), Lookup> {
        let has_room = self.waiting.len() < MOST;
        match self.waiting.entry(key) {
            // Nobody asks the same again when the answer is overdue: another question has got its number.
            Entry::Occupied(mut known) if known.get().began.is_given_up => {
                lookup.sent = [(peer, 1), (0, 0), (0, 0)];
                *known.get_mut() = lookup;
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.came(peer, is_server);
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

    /// Whether a question has to wait for room, and looking for it is worth the while.
    pub(crate) fn is_full(&mut self, now_ns: u64) -> bool {
        let is_due = self.waiting.len() >= MOST && now_ns.saturating_sub(self.looked_ns) >= LOOKED_NS;
        if is_due {
            self.looked_ns = now_ns;
        }
        is_due
    }

    /// The question of this answer. To a client, one that was sent again is still one question; to a server it may be that of
    /// another client, and each is answered.
    #[inline]
    pub(crate) fn answer(&mut self, key: u64, is_server: bool) -> Option<Lookup> {
        if is_server
            && let Some(known) = self.waiting.get_mut(&key)
            && known.again > 0
        {
            let answered = Lookup { again: 0, ..known.clone() };
            known.began.time_ns = known.last_ns;
            // Each has a place of its own.
            known.began.sequence = known.began.sequence.wrapping_add(2);
            known.again -= 1;
            known.is_answered = true;
            return Some(answered);
        }
        self.waiting.remove(&key)
    }

    /// An answer to a client whose question was not seen: it may be seen yet.
    #[cold]
    pub(crate) fn keep_early(&mut self, key: u64, answer: Answer) {
        if self.early.len() >= MOST_EARLY {
            self.early.remove(0);
        }
        self.early.push((key, answer));
    }

    /// The answer that this question, which was just asked, has had already.
    #[inline]
    pub(crate) fn early(&mut self, key: u64, now_ns: u64) -> Option<Answer> {
        if self.early.is_empty() {
            return None;
        }
        self.early.retain(|(_, answer)| now_ns.saturating_sub(answer.time_ns) < EARLY_NS);
        let at = self.early.iter().position(|(known, _)| *known == key)?;
        Some(self.early.remove(at).1)
    }

    /// The question of an answer that does not repeat it. It is looked for only among few: somebody may send many such answers.
    #[cold]
    pub(crate) fn answer_by_id(&mut self, id: u16) -> Option<Lookup> {
        if self.waiting.len() > FEW {
            return None;
        }
        let key = self.waiting.iter().find(|(_, lookup)| lookup.id == id).map(|(key, _)| *key)?;
        self.waiting.remove(&key)
    }

    /// The questions that are given up, in the order in which they were asked. Those whose answers may still come stay for as long
    /// again. One that was asked again and answered once is none: the answer was for both.
    pub(crate) fn give_up(&mut self, why: &Ending) -> Vec<Lookup> {
        let mut given_up = Vec::new();
        self.waiting.retain(|_, lookup| {
            // What was given up before is silent since then.
            let silent_since = Began { time_ns: lookup.last_ns, ..Began::default() };
            if !why.gives_up_silent(silent_since, lookup.last_ns) {
                return true;
            }
            let is_told = lookup.is_answered || lookup.began.is_given_up;
            if !is_told {
                given_up.push(lookup.clone());
            }
            (lookup.began.is_given_up, lookup.last_ns) = (true, why.time_ns());
            !is_told && !why.is_final()
        });
        in_order(given_up)
    }

    /// Takes out old questions; those that were not told of before.
    #[cold]
    pub(crate) fn forget_old(&mut self, now_ns: u64) -> Vec<Lookup> {
        let is_old = |lookup: &Lookup| now_ns.saturating_sub(lookup.began.time_ns) >= OLD_NS;
        let old = self.waiting.extract_if(|_, lookup| is_old(lookup)).map(|(_, lookup)| lookup);
        in_order(old.filter(|lookup| !lookup.is_answered && !lookup.began.is_given_up).collect())
    }

    /// Bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        self.waiting.capacity() * (size_of::<(u64, Lookup)>() + 1) + self.early.capacity() * size_of::<(u64, Answer)>()
    }
}

fn in_order(mut lookups: Vec<Lookup>) -> Vec<Lookup> {
    lookups.sort_unstable_by_key(|lookup| (lookup.began.time_ns, lookup.began.sequence));
    lookups
}

// === impl Lookup ===

impl Lookup {
    /// A question that was just asked.
    pub(crate) fn new(id: u16, began: Began, name: &[u8], question: u16, opcode: u8) -> Self {
        let (name, last_ns) = (Short::lossy(name), began.time_ns);
        Self { id, began, name, question, opcode, again: 0, sent: Default::default(), last_ns, is_answered: false }
    }

    /// It came again. A server is asked by many, a client may ask several servers at once.
    fn came(&mut self, peer: u64, is_server: bool) {
        if is_server {
            self.again = self.again.saturating_add(1);
            return;
        }
        if let Some(sent) = self.sent.iter_mut().find(|(known, times)| *times == 0 || *known == peer) {
            *sent = (peer, sent.1.saturating_add(1));
        }
        self.again = self.sent.iter().map(|&(_, times)| times.saturating_sub(1)).max().unwrap_or(0);
    }
}

// === impl Mixed ===

impl Hasher for Mixed {
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

    use super::{Lookup, Lookups, MOST};

    fn lookup(time_ns: u64) -> Lookup {
        Lookup::new(7, Began { time_ns, sequence: 9, ..Began::default() }, b"a.", 1, 0)
    }

    #[test]
    fn a_client_s_retransmission_is_one_question_and_two_clients_are_two() {
        let mut lookups = Lookups::default();
        assert!(lookups.ask(1, 8, false, lookup(10)).is_ok() && lookups.ask(1, 8, false, lookup(20)).is_ok());
        let answered = lookups.answer(1, false).unwrap();
        assert_eq!((answered.began.time_ns, answered.again), (10, 1));
        assert!(lookups.answer(1, false).is_none(), "the second answer is to nothing");
        assert!(lookups.ask(2, 0, true, lookup(10)).is_ok() && lookups.ask(2, 0, true, lookup(20)).is_ok());
        let times = [lookups.answer(2, true), lookups.answer(2, true)].map(|answer| answer.unwrap().began);
        assert_eq!((times[0].time_ns, times[1].time_ns), (10, 20));
        assert_ne!(times[0].sequence, times[1].sequence);
        assert!(lookups.answer(2, true).is_none());
        assert!(
            lookups.ask(3, 0, true, lookup(10)).is_ok()
                && lookups.ask(3, 0, true, lookup(20)).is_ok()
                && lookups.answer(3, true).is_some()
        );
        assert!(lookups.forget_old(1 << 40).is_empty(), "the answer was for both");
    }

    #[test]
    fn a_question_to_several_servers_at_once_is_no_retransmission() {
        let again = |peers: &[u64]| {
            let mut lookups = Lookups::default();
            assert!(peers.iter().all(|&peer| lookups.ask(1, peer, false, lookup(10)).is_ok()));
            lookups.answer(1, false).unwrap().again
        };
        assert_eq!([again(&[1]), again(&[1, 2, 3]), again(&[1, 2, 3, 4])], [0; 3]);
        assert_eq!([again(&[1, 1]), again(&[1, 2, 3, 1, 2, 3]), again(&[0, 0, 0])], [1, 1, 2]);
    }

    #[test]
    fn there_is_an_end_to_what_waits_and_old_ones_make_room() {
        let mut lookups = Lookups::default();
        assert!((0..MOST as u64).all(|key| lookups.ask(key, 0, true, lookup(key)).is_ok()));
        assert!(lookups.ask(9999, 0, true, lookup(0)).is_err());
        assert!(lookups.is_full(1 << 40) && !lookups.is_full(1 << 40), "not looked for again so soon");
        assert_eq!(lookups.forget_old(2_000_000_099).len(), 100);
        assert!(lookups.ask(9999, 0, true, lookup(0)).is_ok());
        assert_eq!(lookups.waiting.len(), MOST - 99);
        assert!(lookups.weight() < 1 << 20);
    }
}
