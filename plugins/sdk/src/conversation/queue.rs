//! Requests that wait for their responses.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Began, Ending};

/// Requests that wait for their responses, in order, at most `MOST`: a peer that sends and never reads must not fill the memory.
///
/// Above the maximum the oldest is dropped, and so is its response when it comes: [`pop`](Self::pop) then returns None, so that the others
/// are still matched with their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queue<T, const MOST: usize = 256> {
    waiting: VecDeque<T>,
    /// Number of dropped requests whose responses are still to come.
    forgotten: u32,
}

/// Capacity that is retained when no request waits: a pipeline of a thousand must not hold its memory forever.
const ROOM: usize = 64;

// === impl Queue ===

impl<T, const MOST: usize> Queue<T, MOST> {
    /// Adds a request. Returns the one that was dropped for it, if any.
    pub fn push(&mut self, request: T) -> Option<T> {
        let oldest = if self.waiting.len() >= MOST { self.waiting.pop_front() } else { None };
        self.forgotten = self.forgotten.saturating_add(u32::from(oldest.is_some()));
        self.waiting.push_back(request);
        oldest
    }

    /// Removes and returns the request of the next response; None if it was dropped, or no request waits.
    pub fn pop(&mut self) -> Option<T> {
        if self.forgotten > 0 {
            self.forgotten -= 1;
            return None;
        }
        let oldest = self.waiting.pop_front();
        if self.waiting.is_empty() && self.waiting.capacity() > ROOM {
            self.waiting = VecDeque::new();
        }
        oldest
    }

    /// Returns the request of the next response, without removing it.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        if self.forgotten > 0 { None } else { self.waiting.front() }
    }

    /// As [`front`](Self::front), mutable.
    pub fn front_mut(&mut self) -> Option<&mut T> {
        if self.forgotten > 0 { None } else { self.waiting.front_mut() }
    }

    /// Returns the last request that was added.
    pub fn back_mut(&mut self) -> Option<&mut T> {
        self.waiting.back_mut()
    }

    /// Removes all waiting requests, oldest first; responses of dropped ones are not expected any more.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.forgotten = 0;
        self.waiting.drain(..)
    }

    /// Calls a function for each request that times out, oldest first. They stay waiting: a response that comes after all is matched with
    /// them, and its row is a late one.
    pub fn give_up(&mut self, why: &Ending, began: impl Fn(&mut T) -> &mut Began, mut tell: impl FnMut(&T)) {
        for request in &mut self.waiting {
            if why.gives_up(*began(request)) {
                tell(request);
                began(request).is_given_up = true;
            }
        }
    }

    /// Iterates over the waiting requests, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter()
    }

    /// As [`iter`](Self::iter), mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.waiting.iter_mut()
    }

    /// Returns the number of waiting requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no request waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T, const MOST: usize> Default for Queue<T, MOST> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), forgotten: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;
    use crate::conversation::{Began, Ending};

    #[test]
    fn over_the_cap_the_oldest_goes_and_its_response_meets_nobody() {
        let mut queue = Queue::<u8, 2>::default();
        assert_eq!([queue.push(1), queue.push(2), queue.push(3)], [None, None, Some(1)]);
        assert_eq!(queue.front(), None);
        assert_eq!([queue.pop(), queue.pop(), queue.pop(), queue.pop()], [None, Some(2), Some(3), None]);
    }

    #[test]
    fn what_is_given_up_is_told_once_and_waits_for_its_response() {
        let mut queue = Queue::<Began>::default();
        let began = |time_ns| Began { time_ns, ..Began::default() };
        assert!([1, 2, 30].map(|time_ns| queue.push(began(time_ns))).iter().all(Option::is_none));
        let told = |queue: &mut Queue<Began>, why: &Ending| {
            let mut told = Vec::new();
            queue.give_up(why, |began| began, |began| told.push(began.time_ns));
            told
        };
        let silent = Ending::timeout(35, 10);
        assert_eq!(told(&mut queue, &silent.heard(26)), [0; 0], "something was heard since");
        assert_eq!(told(&mut queue, &silent.heard(25)), [1, 2]);
        assert_eq!(told(&mut queue, &silent.heard(25)), [0; 0]);
        assert_eq!(told(&mut queue, &Ending::closed(99)), [30]);
        assert!((0..3).all(|_| queue.pop().is_some_and(|began| began.is_given_up)));
    }
}
