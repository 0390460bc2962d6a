//! Requests that wait for their responses.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Began, Ending};

/// What was asked and not yet answered, in order, at most `MOST` of it: a peer that asks and never listens must not fill the memory.
///
/// Over the cap the oldest is forgotten, and so is its response when it comes: [`pop`](Self::pop) then gives nothing, so that the
/// others still meet their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queue<T, const MOST: usize = 256> {
    waiting: VecDeque<T>,
    /// Forgotten, and their responses still to come.
    forgotten: u32,
}

/// Requests whose room stays when none waits: one pipeline of a thousand must not hold room for as many ever after.
const ROOM: usize = 64;

// === impl Queue ===

impl<T, const MOST: usize> Queue<T, MOST> {
    /// Adds a request. What had to be forgotten for it is given back.
    pub fn push(&mut self, request: T) -> Option<T> {
        let oldest = if self.waiting.len() >= MOST { self.waiting.pop_front() } else { None };
        self.forgotten = self.forgotten.saturating_add(u32::from(oldest.is_some()));
        self.waiting.push_back(request);
        oldest
    }

    /// The request that the next response belongs to; None if it was forgotten, or nothing was asked.
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

    /// The request that the next response belongs to, without taking it.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        if self.forgotten > 0 { None } else { self.waiting.front() }
    }

    /// As [`front`](Self::front), to change it.
    pub fn front_mut(&mut self) -> Option<&mut T> {
        if self.forgotten > 0 { None } else { self.waiting.front_mut() }
    }

    /// The last request that was added.
    pub fn back_mut(&mut self) -> Option<&mut T> {
        self.waiting.back_mut()
    }

    /// Takes all that wait out, oldest first; responses of forgotten ones are not expected any more.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.forgotten = 0;
        self.waiting.drain(..)
    }

    /// Tells of those that are given up, oldest first. They go on waiting: a response that comes after all is theirs, and a row
    /// that is made of it is a late one.
    pub fn give_up(&mut self, why: &Ending, began: impl Fn(&mut T) -> &mut Began, mut tell: impl FnMut(&T)) {
        for request in &mut self.waiting {
            if why.gives_up(*began(request)) {
                tell(request);
                began(request).is_given_up = true;
            }
        }
    }

    /// Those that wait, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter()
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.waiting.iter_mut()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
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
