//! The deadline of a call, partly in processor time.
//!
//! The wall clock alone would end good plugins on a busy machine: a worker that is not scheduled for a while is late through no fault of
//! its guest. So the second half of a deadline is measured in processor time. A guest cannot wait, so its processor time is all the time it
//! takes, except for waits of the host on its behalf, which count by the wall clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

use crate::limits::LONGEST_DEADLINE;

/// Resolution of deadlines. 20 ms: a runaway guest is stopped soon enough, and fifty wake-ups a second of 5 to 20 us each cost at
/// most 0.1 % of a core.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// Maximum number of extensions by half a deadline for a worker that is not scheduled; it also ends a guest that sleeps in an unforeseen
/// way.
const EXTENSIONS: u32 = 18;

/// Maximum duration of a call on a machine however busy: the ticker may rest once this time has passed without a call.
pub(crate) const LONGEST_CALL: Duration = LONGEST_DEADLINE.saturating_mul(EXTENSIONS.div_ceil(2) + 1);

/// The deadline of the current call.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    half: Duration,
    /// Processor time of the worker at the end of the first half.
    since: Option<Duration>,
    extensions: u32,
    /// Time that the host has waited for the system in functions that the guest called.
    waited: Duration,
    /// That time at the end of the first half.
    waited_before: Duration,
}

// === impl Deadline ===

impl Deadline {
    /// Starts a call, and returns the number of ticks until its first check.
    pub(crate) fn start(&mut self, limit: Duration) -> u64 {
        *self = Self { half: limit / 2, ..Self::default() };
        ticks(self.half)
    }

    /// Counts time that the host has waited on behalf of the guest.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Returns how long the host may still wait on behalf of the guest: half of the time of a call is the guest's own.
    pub(crate) fn left_to_wait(&self) -> Duration {
        self.half.saturating_sub(self.waited)
    }

    /// Checks the call after these ticks.
    pub(crate) fn passed(&mut self) -> UpdateDeadline {
        self.decide(processor_time())
    }

    fn decide(&mut self, now: Duration) -> UpdateDeadline {
        let Some(since) = self.since else {
            if self.waited >= self.half * 2 {
                return UpdateDeadline::Interrupt;
            }
            (self.since, self.waited_before) = (Some(now), self.waited);
            return UpdateDeadline::Continue(ticks(self.half));
        };
        let spent = now.saturating_sub(since) + self.waited.saturating_sub(self.waited_before);
        let left = self.half.saturating_sub(spent);
        if left <= TICK || self.extensions == EXTENSIONS {
            return UpdateDeadline::Interrupt;
        }
        self.extensions += 1;
        UpdateDeadline::Continue(ticks(left))
    }
}

/// Returns the number of ticks that take at least this long.
fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX).saturating_add(1)
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    #[test]
    fn a_guest_that_uses_all_of_its_time_is_stopped() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.start(LIMIT), 4);
        assert!(matches!(deadline.decide(Duration::ZERO), UpdateDeadline::Continue(4)));
        assert!(matches!(deadline.decide(Duration::from_millis(48)), UpdateDeadline::Interrupt));
    }

    #[test]
    fn what_the_host_waits_on_its_behalf_is_time_of_the_guest() {
        let mut deadline = Deadline::default();
        deadline.start(LIMIT);
        assert_eq!(deadline.left_to_wait(), Duration::from_millis(50));
        deadline.waited(Duration::from_millis(20));
        assert_eq!(deadline.left_to_wait(), Duration::from_millis(30));
        deadline.decide(Duration::ZERO);
        deadline.waited(Duration::from_millis(48));
        assert_eq!(deadline.left_to_wait(), Duration::ZERO);
        assert!(matches!(deadline.decide(Duration::ZERO), UpdateDeadline::Interrupt), "without a moment of the processor");
        deadline.start(LIMIT);
        deadline.waited(LIMIT);
        assert!(matches!(deadline.decide(Duration::ZERO), UpdateDeadline::Interrupt), "it is over with the first half");
    }

    #[test]
    fn a_worker_that_was_not_run_gets_the_rest_of_its_time_but_not_for_ever() {
        let mut deadline = Deadline::default();
        deadline.start(LIMIT);
        deadline.decide(Duration::ZERO);
        assert!(matches!(deadline.decide(Duration::from_millis(10)), UpdateDeadline::Continue(3)));
        let halves = (0..100).take_while(|_| matches!(deadline.decide(Duration::ZERO), UpdateDeadline::Continue(_))).count();
        assert_eq!(halves, EXTENSIONS as usize - 1);
    }
}
