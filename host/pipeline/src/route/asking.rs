//! Asking decoders about connections that no signature decided: one call for all of a batch, candidate after candidate. It happens on
//! the router's thread, so that who takes too long for it is asked no more.

use std::time::Instant;

use host_model::{Beginnings, Input, Opinion, Sender};

use super::dispatch::Dispatch;
use super::lanes::{bit, sender};
use super::record::Head;
use super::table::{Fate, Place};

/// What is kept from one batch to the next: room.
#[derive(Default)]
pub(crate) struct Asking {
    beginnings: Beginnings,
    /// For each beginning the connection, and the record that stands for it.
    of: Vec<(usize, Head)>,
    open: Vec<Open>,
    /// Lanes that are not asked for a while.
    resting: u64,
}

/// Beginnings that a decoder is asked about in one call: what it costs the router by one is bounded.
const AT_ONCE: usize = 256;

/// A connection that nobody has recognised yet.
struct Open {
    place: Place,
    /// Lanes that were asked about it in this batch.
    asked: u64,
    decided: bool,
}

// === impl Asking ===

impl Asking {
    /// Asks about these connections until somebody knows each, or all were asked.
    pub(crate) fn ask(&mut self, dispatch: &mut Dispatch, due: &[Place]) {
        self.resting = if dispatch.is_timed { dispatch.lanes.resting(Instant::now()) } else { 0 };
        self.open.clear();
        self.open.extend(due.iter().map(|&place| Open { place, asked: 0, decided: false }));
        loop {
            let mut asked = false;
            for lane in 0..dispatch.lanes.len() {
                self.gather(dispatch, lane);
                if !self.beginnings.is_empty() {
                    asked = true;
                    self.hear(dispatch, lane);
                }
            }
            self.open.retain(|open| !open.decided);
            if !asked {
                return;
            }
        }
    }

    /// Those whose next candidate this is.
    fn gather(&mut self, dispatch: &mut Dispatch, lane: usize) {
        let Self { beginnings, of, open, resting } = self;
        beginnings.clear();
        of.clear();
        let Dispatch { table, lanes, shape, .. } = dispatch;
        for (index, open) in open.iter_mut().enumerate().filter(|(_, open)| !open.decided) {
            if beginnings.len() >= AT_ONCE {
                return;
            }
            let Some(connection) = table.at(open.place).filter(|connection| connection.fate == Fate::Open) else { continue };
            let (role, likely, not) = (connection.role, connection.likely, connection.not | open.asked | *resting);
            let Some(held) = &connection.held else { continue };
            let Some(first) = held.records().next().and_then(|record| shape.head(record)) else { continue };
            if lanes.candidate(&first, role, likely, not) != Some(lane) {
                continue;
            }
            open.asked |= bit(lane);
            for (direction, payload) in held.news().filter(|(_, payload)| !payload.is_empty()) {
                let head = Head { direction, ..first };
                beginnings.push(head.server_port(role).unwrap_or(0), sender(role, direction), head.transport, payload);
                of.push((index, head));
            }
        }
    }

    /// What a decoder thinks of what was gathered.
    fn hear(&mut self, dispatch: &mut Dispatch, lane: usize) {
        let Some(entry) = dispatch.lanes.at(lane) else { return };
        let began = Instant::now();
        let opinions = entry.recogniser.recognise(&self.beginnings);
        if dispatch.is_timed {
            let now = Instant::now();
            let took = now.duration_since(began);
            if let Some(overspent) = entry.allowance.spend(took, now) {
                self.resting |= bit(lane);
                let fault = overspent.fault(&*entry.recogniser, took);
                entry.recogniser.stats().fault(fault.kind);
                dispatch.observer.fault(&fault, Input::Other);
            }
        }
        let opinions = match opinions {
            Ok(opinions) => opinions,
            Err(fault) => return dispatch.observer.fault(&fault, Input::Other),
        };
        for (opinion, (index, head)) in opinions.into_iter().zip(&self.of) {
            let sender = match opinion {
                Opinion::No | Opinion::Unsure => continue,
                Opinion::Yes => None,
                Opinion::YesClient => Some(Sender::Client),
                Opinion::YesServer => Some(Sender::Server),
            };
            let Some(open) = self.open.get_mut(*index).filter(|open| !open.decided) else { continue };
            open.decided = true;
            dispatch.decide(open.place, lane, sender, head);
        }
    }
}
