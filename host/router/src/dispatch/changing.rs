//! Moving a conversation to another decoder: its decoder disowns it, the router retains new records, and once the lane has returned the
//! records under way, another lane gets all of them in order.

use super::Dispatch;
use crate::held::Held;
use crate::inbox::{Message, Returned, Ticket};
use crate::lanes::bit;
use crate::record::{Head, Key, walk};
use crate::table::{Change, Connection, ConnectionId, Fate};
use host_model::{Run, Sender};

/// Maximum number of times that a connection is re-routed.
const TRIES: u8 = 4;
/// Maximum number of messages handled between two runs: it bounds the cost to others of a decoder that disowns conversations it never had.
const AT_ONCE: usize = 4096;
/// Maximum bytes retained of one conversation while it changes lanes. 1 MiB: 2,900 calls at the default capture.
const MOST_OF_ONE: usize = 1 << 20;
/// The same for all conversations together.
const MOST_OF_ALL: usize = 16 << 20;

/// A lane that was found in the first records of a connection, the sender, and the record that matched.
type Found = Option<(usize, Option<Sender>, Head)>;

impl Dispatch {
    /// Handles messages of lanes: takes rejected connections back and looks for other decoders. Returns whether there were any.
    pub(crate) fn take_back(&mut self) -> bool {
        if self.lanes.inbox.has_some() {
            let messages = self.lanes.inbox.take();
            self.messages.extend(messages);
        }
        if self.messages.is_empty() {
            return false;
        }
        for _ in 0..AT_ONCE {
            match self.messages.pop_front() {
                Some(Message::Disowned { ticket, key, whole }) => self.disowned(ticket, key, whole),
                Some(Message::Returned { ticket, key, returned }) => self.returned(ticket, key, &returned),
                None => break,
            }
        }
        self.ask();
        true
    }

    /// Whether any conversation is on its way from one lane to another.
    pub(crate) const fn is_changing(&self) -> bool {
        self.changing > 0
    }

    /// Handles the message that a decoder disowns a conversation: its lane gets no more of it.
    fn disowned(&mut self, ticket: Ticket, key: Key, whole: bool) {
        // A lane that has ended returns everything without this message.
        let Some(entry) = self.lanes.of(ticket) else { return };
        entry.outlet.stop(key);
        entry.is_stopping = true;
        let Some(id) = self.table.find(key) else { return };
        let routed = |connection: &&mut Connection| connection.fate == Fate::Routed(ticket.lane);
        let Some(connection) = self.table.at(id).filter(routed) else { return };
        entry.connections = entry.connections.saturating_sub(1);
        connection.fate = Fate::Changing;
        connection.change = Some(Box::new(Change { ticket, whole, newer: Vec::new(), records: 0 }));
        connection.disowned += 1;
        connection.likely = 0;
        connection.verdict_ns = 0;
        if whole {
            // If it is disowned from its beginning, this decoder is ruled out; if later, it may still be right.
            connection.not |= bit(ticket.lane);
            connection.sure_of_role = false;
        }
        self.changing += 1;
    }

    /// Retains a record of a conversation that changes lanes: it follows those that are still to be returned.
    pub(super) fn retain_newer(&mut self, id: ConnectionId, record: &[u8]) {
        let needs = host_model::run::slot_len(u32::try_from(record.len()).unwrap_or(u32::MAX));
        let Some(change) = self.table.at(id).and_then(|connection| connection.change.as_mut()) else { return };
        if change.newer.len() + needs > MOST_OF_ONE || self.changing_bytes + needs > MOST_OF_ALL {
            self.tally.lost_in_change += 1;
            return;
        }
        self.changing_bytes += needs;
        Run::push(&mut change.newer, record);
        change.records += 1;
        self.tally.held += 1;
    }

    /// Handles the message that a lane has returned its records of a conversation.
    fn returned(&mut self, ticket: Ticket, key: Key, returned: &Returned) {
        self.tally.taken_back += returned.records;
        let id = self.table.find(key);
        let connection = id.and_then(|id| Some((id, self.table.at(id)?)));
        let Some((id, connection)) = connection else {
            self.tally.lost_in_change += returned.records;
            return;
        };
        let is_of = |change: &mut Box<Change>| change.ticket == ticket;
        let Some(change) = connection.change.take_if(is_of) else {
            // Its lane was dismissed, or the connection was forgotten meanwhile and seen again.
            match connection.fate {
                Fate::Unknown(port) => {
                    self.tally.unrouted += returned.records;
                    self.unknown_ports.count(port, returned.records);
                }
                _ => self.tally.lost_in_change += returned.records,
            }
            return;
        };
        self.changing -= 1;
        self.changing_bytes -= change.newer.len();
        connection.fate = Fate::Open;
        let (began, given) = (connection.held.take(), connection.given);
        let (mut held, missing) = match began {
            Some(began) if change.whole => {
                self.held_bytes -= began.size();
                self.joined(*began, given, returned)
            }
            began => {
                if let Some(began) = began {
                    self.recycle(began);
                }
                let known = if change.whole { given } else { 0 };
                (self.made_of(&returned.bytes), known.saturating_sub(returned.records).max(returned.lost))
            }
        };
        // Records that the decoder was given and that are no longer stored.
        self.tally.taken_back += missing;
        self.tally.lost_in_change += missing;
        self.add(&mut held, &change.newer);
        if !change.whole {
            held.begin_here(&self.shape);
        }
        held.fresh = u32::try_from(held.records().count()).unwrap_or(u32::MAX);
        let was_held = change.records;
        self.tally.held += u64::from(held.fresh) - was_held.min(held.fresh.into());
        self.held_bytes += held.size();
        let Some(connection) = self.table.at(id) else { return };
        connection.given = 0;
        let has_had_its_tries = connection.disowned > TRIES;
        if held.fresh == 0 {
            self.held_bytes -= held.size();
            match (has_had_its_tries, connection.ended) {
                (true, _) => self.mark_unknown(id),
                (false, true) => self.forget(id),
                (false, false) => {}
            }
            return;
        }
        connection.held = Some(Box::new(held));
        if has_had_its_tries {
            return self.mark_unknown(id);
        }
        self.reopen(id);
    }

    /// Returns the first records of a conversation, followed by those returned records that are not among them; and the number of records
    /// missing between the two.
    fn joined(&mut self, began: Held, given: u64, returned: &Returned) -> (Held, u64) {
        let shape = self.shape;
        let records = |bytes| walk(Run { bytes, records: 0 });
        let is_known = |record: &[u8]| began.records().any(|known| shape.same(known, record));
        // The first records only: the overlap cannot be larger than they are.
        let most = began.records().count();
        let again = records(&returned.bytes).take(most).enumerate().filter(|(_, (_, record))| is_known(record));
        let again = again.last().map_or(0, |(index, _)| index + 1);
        let only_known = (most - again.min(most)) as u64;
        self.tally.taken_back += only_known;
        let mut held = began;
        let behind = records(&returned.bytes).nth(again).map_or(returned.bytes.len(), |(at, _)| at - host_model::run::HEADER);
        self.add(&mut held, returned.bytes.get(behind..).unwrap_or_default());
        (held, given.saturating_sub(only_known + returned.records).max(returned.lost))
    }

    fn made_of(&mut self, bytes: &[u8]) -> Held {
        let mut held = self.spare.pop().map_or_else(Held::default, |held| *held);
        self.add(&mut held, bytes);
        held
    }

    fn add(&self, held: &mut Held, bytes: &[u8]) {
        for (_, record) in walk(Run { bytes, records: 0 }) {
            if let Some(head) = self.shape.head(record) {
                held.push(record, &self.shape, &head);
            }
        }
    }

    /// Looks for the lane of a conversation as if it were new.
    fn reopen(&mut self, id: ConnectionId) {
        let (shape, lanes) = (self.shape, &self.lanes);
        let Some(connection) = self.table.at(id) else { return };
        let (role, not) = (connection.role, connection.not);
        let Some(held) = &mut connection.held else { return };
        held.mark_all_news();
        let mut likely = 0;
        let decided: Found = held.records().take(Held::ENOUGH).find_map(|record| {
            let head = shape.head(record)?;
            if let Some(lane) = lanes.pinned(&head, role, not) {
                return Some((lane, None, head));
            }
            let found = lanes.matching(&head, role, [shape.payload(record), held.beginning(head.direction)], not);
            likely |= found.likely;
            found.certain.map(|(lane, sender)| (lane, sender, head))
        });
        connection.likely = likely;
        if let Some((lane, sender, head)) = decided {
            return self.assign(id, lane, sender, &head);
        }
        if !std::mem::replace(&mut connection.due, true) {
            self.due.push(id);
        }
        self.make_room();
    }

    /// Releases a change whose conversation is forgotten: the records retained for the next decoder are dropped.
    pub(super) fn abort_change(&mut self, change: &Change) {
        self.changing -= 1;
        self.changing_bytes -= change.newer.len();
        self.tally.held -= change.records;
        self.tally.lost_in_change += change.records;
    }
}
