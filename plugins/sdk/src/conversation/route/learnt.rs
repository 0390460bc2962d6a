//! Names that services were seen to have: routes of HTTP, methods of gRPC. A requested name is learnt only by its response, and the number
//! of learnt names is bounded.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::{Evidence, Service};
use crate::hash::{Mixed, digest, mix};
use crate::scan::same;

/// Names of services, with a maximum for each service and one for all.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    names: Vec<Name>,
    /// Places of names, by the hash of their service and text.
    places: HashMap<u64, u32, BuildHasherDefault<Mixed>>,
    services: HashMap<Service, Known, BuildHasherDefault<Mixed>>,
    /// Names that would be learnt if there were room, each at the index of its hash, with the number of recent requests.
    candidates: Vec<(u64, u8)>,
    /// Number of look-ups: the clock of this table.
    now: u32,
    /// Time at which a name was last replaced by one of another service.
    changed: u32,
    /// Number of names that were ever learnt.
    last: u32,
}

/// The place of a name, and its identity: the place may belong to another name since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    at: u32,
    id: u32,
}

#[derive(Debug)]
struct Name {
    service: Service,
    text: Box<[u8]>,
    id: u32,
    used: u32,
    is_sure: bool,
}

/// The names of a service.
#[derive(Debug, Default)]
struct Known {
    all: usize,
    /// Number of names that no response has confirmed.
    unsure: usize,
    /// Time at which one of them was last replaced.
    changed: u32,
}

/// Maximum number of names of one service: more than most have, and few enough for a metric.
pub(super) const MOST: usize = 256;
/// Maximum number of unconfirmed ones: a server that refuses, redirects or fails every request has few names.
pub(super) const MOST_UNSURE: usize = 64;
/// Maximum number of names of all services, as many as a metric has series (`metrics.cardinality`). With their text about 300 KiB.
pub(super) const MOST_OF_ALL: usize = 2048;
/// Number of candidates that are counted.
const CANDIDATES: usize = 512;
/// Number of requests for a candidate before it replaces a name. A scanner requests each once or twice.
const OFTEN: u8 = 4;
/// Number of look-ups, of all services, for which a requested name is safe from replacement, and in which at most one name is replaced:
/// series of metrics are permanent.
const RECENTLY: u32 = 1024;

// === impl Learnt ===

impl Learnt {
    /// Returns the place of a name, if it is known or is learnt by this request.
    pub(super) fn place(&mut self, service: Service, text: &[u8], evidence: Evidence) -> Option<Place> {
        let key = key(service, text);
        let known = self.places.get(&key).copied();
        match known.and_then(|at| Some((at, self.names.get(at as usize)?))) {
            Some((at, name)) if name.service == service && same(&name.text, text) => {
                let place = Place { at, id: name.id };
                self.used(place, evidence);
                Some(place)
            }
            // Two names with the same hash: the second stays unknown.
            Some(_) => None,
            None if evidence == Evidence::Absent => None,
            None => self.learn(service, key, text, evidence == Evidence::Found),
        }
    }

    /// Counts a request for a name; returns None if the name was replaced.
    #[inline]
    pub(super) fn used(&mut self, place: Place, evidence: Evidence) -> Option<()> {
        let name = self.names.get_mut(place.at as usize).filter(|name| name.id == place.id)?;
        self.now = self.now.wrapping_add(1);
        name.used = self.now;
        if evidence == Evidence::Found && !name.is_sure {
            name.is_sure = true;
            let service = name.service;
            self.confirmed(service);
        }
        Some(())
    }

    #[inline]
    pub(super) fn text(&self, place: Place) -> Option<&[u8]> {
        self.names.get(place.at as usize).filter(|name| name.id == place.id).map(|name| &*name.text)
    }

    #[cold]
    fn confirmed(&mut self, service: Service) {
        if let Some(known) = self.services.get_mut(&service) {
            known.unsure = known.unsure.saturating_sub(1);
        }
    }

    /// Learns a text as a name, if there is room, or if it takes precedence over another.
    #[cold]
    fn learn(&mut self, service: Service, key: u64, text: &[u8], is_sure: bool) -> Option<Place> {
        self.now = self.now.wrapping_add(1);
        let known = self.services.get(&service);
        let (all, unsure) = known.map_or((0, 0), |known| (known.all, known.unsure));
        let has_room = all < MOST && (is_sure || unsure < MOST_UNSURE);
        let at = if has_room && self.names.len() < MOST_OF_ALL {
            self.names.len()
        } else {
            self.make_room(service, key, has_room, is_sure)?
        };
        self.last = self.last.wrapping_add(1);
        let name = Name { service, text: text.into(), id: self.last, used: self.now, is_sure };
        match self.names.get_mut(at) {
            Some(gone) => *gone = name,
            None => self.names.push(name),
        }
        self.places.insert(key, at as u32);
        let known = self.services.entry(service).or_default();
        known.all += 1;
        known.unsure += usize::from(!is_sure);
        Some(Place { at: at as u32, id: self.last })
    }

    /// Returns the place of a name that is not requested any more, for a candidate that is: a name of the same service, unless that
    /// `has_room` and all services together have none.
    fn make_room(&mut self, service: Service, key: u64, has_room: bool, is_sure: bool) -> Option<usize> {
        if !self.is_asked_often(key) {
            return None;
        }
        let changed = if has_room { self.changed } else { self.services.get(&service)?.changed };
        let now = self.now;
        let is_recent = |then: u32| now.wrapping_sub(then) < RECENTLY;
        let names = self.names.iter().enumerate();
        // An unconfirmed name does not replace a confirmed one.
        let others = names.filter(|(_, name)| (has_room || name.service == service) && (is_sure || !name.is_sure));
        let (at, name) = others.max_by_key(|(_, name)| now.wrapping_sub(name.used))?;
        if is_recent(name.used) || is_recent(changed) && changed != 0 {
            return None;
        }
        let (owner, was_sure, gone) = (name.service, name.is_sure, self::key(name.service, &name.text));
        self.places.remove(&gone);
        if has_room {
            self.changed = now;
        }
        if let Some(known) = self.services.get_mut(&owner) {
            known.all = known.all.saturating_sub(1);
            known.unsure = known.unsure.saturating_sub(usize::from(!was_sure));
            known.changed = now;
            if known.all == 0 && owner != service {
                self.services.remove(&owner);
            }
        }
        Some(at)
    }

    /// Counts a candidate; returns whether it was requested often. Another one at its index is counted down first.
    fn is_asked_often(&mut self, key: u64) -> bool {
        self.candidates.resize(CANDIDATES, (0, 0));
        let Some((known, times)) = self.candidates.get_mut(key as usize % CANDIDATES) else { return false };
        if *known == key {
            *times = times.saturating_add(1);
        } else if *times > 1 {
            *times -= 1;
            return false;
        } else {
            (*known, *times) = (key, 1);
        }
        *times >= OFTEN
    }
}

fn key(service: Service, text: &[u8]) -> u64 {
    mix(service.0, digest(text))
}

#[cfg(test)]
mod tests {
    use super::{Learnt, MOST, MOST_OF_ALL, MOST_UNSURE, RECENTLY};
    use crate::conversation::route::{Evidence, Service};

    fn knows(learnt: &mut Learnt, service: u64, name: &str, evidence: Evidence) -> bool {
        let place = learnt.place(Service(service), name.as_bytes(), evidence);
        assert!(place.is_none_or(|place| learnt.text(place) == Some(name.as_bytes())));
        place.is_some()
    }

    /// Requests this many names of a service, each `times` in a row; returns the number of its names.
    fn ask(learnt: &mut Learnt, service: u64, names: usize, times: usize, evidence: Evidence) -> usize {
        let asked = (0..names).map(|name| (0..times).map(|_| knows(learnt, service, &format!("/x{name}"), evidence)).last());
        asked.filter(|known| *known == Some(true)).count()
    }

    #[test]
    fn what_is_absent_is_no_name_until_it_is_found() {
        let mut learnt = Learnt::default();
        assert_eq!(ask(&mut learnt, 1, 5000, 9, Evidence::Absent), 0);
        assert!(knows(&mut learnt, 1, "/x7", Evidence::Found));
        assert!(knows(&mut learnt, 1, "/x7", Evidence::Absent), "and stays one");
        assert_eq!((learnt.names.len(), learnt.services.len()), (1, 1));
    }

    #[test]
    fn a_service_that_answers_whatever_it_is_asked_has_few_names_and_takes_none_of_others() {
        for (evidence, most) in [(Evidence::Found, MOST), (Evidence::Unsure, MOST_UNSURE)] {
            let mut learnt = Learnt::default();
            assert!(knows(&mut learnt, 2, "/before", Evidence::Found));
            assert_eq!(ask(&mut learnt, 1, 5000, 1, evidence), most);
            assert!(knows(&mut learnt, 2, "/before", Evidence::Found));
            assert!(knows(&mut learnt, 2, "/later", Evidence::Found));
            assert!(knows(&mut learnt, 1, "/x0", Evidence::Absent), "its first are still known");
        }
    }

    #[test]
    fn what_is_not_sure_leaves_room_for_what_is() {
        let mut learnt = Learnt::default();
        assert_eq!(ask(&mut learnt, 1, 5000, 1, Evidence::Unsure), MOST_UNSURE);
        assert!(knows(&mut learnt, 1, "/real", Evidence::Found));
        assert_eq!(ask(&mut learnt, 1, MOST_UNSURE, 1, Evidence::Found), MOST_UNSURE, "what is found after all is sure");
        assert!(knows(&mut learnt, 1, "/new", Evidence::Unsure));
    }

    #[test]
    fn of_a_full_service_what_nobody_asks_for_makes_room_for_what_is_asked_for_often() {
        let mut learnt = Learnt::default();
        assert_eq!(ask(&mut learnt, 1, MOST, 1, Evidence::Found), MOST);
        let mut rounds = 0;
        while !knows(&mut learnt, 1, "/new", Evidence::Found) {
            assert!(knows(&mut learnt, 1, "/x0", Evidence::Found), "what is in use stays");
            rounds += 1;
            assert!(rounds < 2 * RECENTLY, "it is let in");
        }
        assert!(rounds > RECENTLY / 4, "{rounds}: not at once");
        assert_eq!((learnt.names.len(), learnt.places.len()), (MOST, MOST));
    }

    #[test]
    fn whoever_insists_gets_one_name_for_many_requests() {
        let mut learnt = Learnt::default();
        ask(&mut learnt, 1, MOST, 1, Evidence::Found);
        let before = learnt.last;
        ask(&mut learnt, 1, 50_000, 5, Evidence::Found);
        let more = learnt.last - before;
        assert!(more > 0 && more <= 250_000 / RECENTLY, "{more}");
    }

    #[test]
    fn there_is_an_end_to_services_and_a_new_one_still_finds_a_place() {
        let mut learnt = Learnt::default();
        for service in 0..10_000 {
            knows(&mut learnt, service, "/a", Evidence::Found);
        }
        assert_eq!((learnt.names.len(), learnt.places.len(), learnt.services.len()), (MOST_OF_ALL, MOST_OF_ALL, MOST_OF_ALL));
        assert!((0..3 * RECENTLY).any(|_| knows(&mut learnt, 20_000, "/new", Evidence::Found)));
        assert_eq!((learnt.names.len(), learnt.services.len()), (MOST_OF_ALL, MOST_OF_ALL));
    }
}
