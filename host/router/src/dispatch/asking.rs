//! Asking decoders about connections that no signature decided: one call for a whole batch, candidate after candidate. It runs on the
//! router's thread, so a decoder that takes too long is no longer asked.

use std::time::Instant;

use host_model::{Input, Opinion, Sender};

use super::Dispatch;
use crate::lanes::bit;
use crate::table::{ConnectionId, Fate};

impl Dispatch {
    /// Asks about the connections that are due, and marks those unknown of which enough was seen.
    pub(super) fn ask(&mut self) {
        if self.due.is_empty() {
            return;
        }
        let due = std::mem::take(&mut self.due);
        self.ask_about(&due);
        for &id in &due {
            let Some(connection) = self.table.at(id) else { continue };
            connection.due = false;
            let ended = connection.ended;
            let Some(held) = connection.held.as_mut().filter(|_| connection.fate == Fate::Open) else { continue };
            held.mark_asked();
            if ended || held.is_full() {
                self.mark_unknown(id);
            }
        }
        self.due = due;
        self.due.clear();
    }

    /// Asks about these connections until each is recognised, or all decoders were asked.
    fn ask_about(&mut self, due: &[ConnectionId]) {
        let resting = if self.is_timed { self.lanes.resting(Instant::now()) } else { 0 };
        self.questions.begin(due, resting);
        loop {
            let mut asked = false;
            for lane in 0..self.lanes.len() {
                self.questions.gather(&mut self.table, &self.lanes, &self.shape, lane);
                if !self.questions.beginnings.is_empty() {
                    asked = true;
                    self.ask_lane(lane);
                }
            }
            self.questions.open.retain(|open| !open.decided);
            if !asked {
                return;
            }
        }
    }

    /// Asks the decoder of a lane about the gathered beginnings, and routes the connections that it recognises.
    fn ask_lane(&mut self, lane: usize) {
        let Some(entry) = self.lanes.at(lane) else { return };
        let began = Instant::now();
        let opinions = entry.recogniser.recognise(&self.questions.beginnings);
        if self.is_timed {
            let now = Instant::now();
            let took = now.duration_since(began);
            if let Some(overspent) = entry.allowance.spend(took, now) {
                self.questions.resting |= bit(lane);
                let fault = overspent.fault(&*entry.recogniser, took);
                entry.recogniser.stats().fault(fault.kind);
                self.observer.fault(&fault, Input::Other);
            }
        }
        let opinions = match opinions {
            Ok(opinions) => opinions,
            Err(fault) => return self.observer.fault(&fault, Input::Other),
        };
        let of = std::mem::take(&mut self.questions.of);
        for (opinion, (index, head)) in opinions.into_iter().zip(&of) {
            let sender = match opinion {
                Opinion::No | Opinion::Unsure => continue,
                Opinion::Yes => None,
                Opinion::YesClient => Some(Sender::Client),
                Opinion::YesServer => Some(Sender::Server),
            };
            let Some(open) = self.questions.open.get_mut(*index).filter(|open| !open.decided) else { continue };
            open.decided = true;
            let id = open.id;
            self.assign(id, lane, sender, head);
        }
        self.questions.of = of;
    }
}
