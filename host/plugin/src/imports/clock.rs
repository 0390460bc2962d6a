//! Clocks: the system's, or virtual ones during replay.

use rustix::time::{ClockId, clock_gettime};

use super::Imports;
use crate::version::v0_1::probe::plugin::clock::Host;

/// Two clocks. Called from worker threads; must not wait.
pub trait Clock: Send + Sync {
    /// CLOCK_MONOTONIC, nanoseconds.
    fn monotonic(&self) -> u64;

    /// Unix time, nanoseconds.
    fn realtime(&self) -> u64;
}

/// The system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

// === impl SystemClock ===

impl Clock for SystemClock {
    fn monotonic(&self) -> u64 {
        nanoseconds(ClockId::Monotonic)
    }

    fn realtime(&self) -> u64 {
        nanoseconds(ClockId::Realtime)
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

impl Host for Imports {
    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        self.crossed()?;
        Ok(if self.grants.clock { self.host.clock.monotonic() } else { 0 })
    }

    fn realtime(&mut self) -> wasmtime::Result<u64> {
        self.crossed()?;
        Ok(if self.grants.clock { self.host.clock.realtime() } else { 0 })
    }
}
