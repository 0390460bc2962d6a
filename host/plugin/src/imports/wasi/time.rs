//! Clocks that stand still unless they are granted, and a poll that never waits.

use wasmtime::component::Resource;

use super::generated::wasi::clocks::{monotonic_clock, wall_clock};
use super::generated::wasi::io::poll;
use crate::imports::{Forbidden, Imports};

/// An event that a guest may poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Readiness of a stream: always ready.
    Ready,
    /// A time of the monotonic clock, nanoseconds.
    At(u64),
}

const SECOND: u64 = 1_000_000_000;

// === impl Event ===

impl Event {
    const fn is_ready(self, now: u64) -> bool {
        match self {
            Self::Ready => true,
            Self::At(time) => time <= now,
        }
    }
}

// === impl Imports ===

impl Imports {
    fn monotonic_now(&self) -> u64 {
        if self.grants.clock { self.host.clock.monotonic() } else { 0 }
    }

    fn event(&self, event: &Resource<Event>) -> wasmtime::Result<Event> {
        Ok(*self.wasi.handles.get(event)?)
    }
}

fn would_wait() -> wasmtime::Error {
    Forbidden::error("time to pass (sleep or poll); a plugin cannot wait")
}

impl monotonic_clock::Host for Imports {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.crossed()?;
        Ok(self.monotonic_now())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.crossed()?;
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<Event>> {
        self.crossed()?;
        self.wasi.hold(Event::At(when))
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<Event>> {
        self.crossed()?;
        let when = self.monotonic_now().saturating_add(when);
        self.wasi.hold(Event::At(when))
    }
}

impl wall_clock::Host for Imports {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.crossed()?;
        let time = if self.grants.clock { self.host.clock.realtime() } else { 0 };
        Ok(wall_clock::Datetime { seconds: time / SECOND, nanoseconds: u32::try_from(time % SECOND).unwrap_or(0) })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.crossed()?;
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl poll::Host for Imports {
    fn poll(&mut self, events: Vec<Resource<Event>>) -> wasmtime::Result<Vec<u32>> {
        self.crossed()?;
        let now = self.monotonic_now();
        let mut ready = Vec::new();
        for (place, event) in (0..).zip(&events) {
            if self.event(event)?.is_ready(now) {
                ready.push(place);
            }
        }
        if ready.is_empty() { Err(would_wait()) } else { Ok(ready) }
    }
}

impl poll::HostPollable for Imports {
    fn ready(&mut self, event: Resource<Event>) -> wasmtime::Result<bool> {
        self.crossed()?;
        Ok(self.event(&event)?.is_ready(self.monotonic_now()))
    }

    fn block(&mut self, event: Resource<Event>) -> wasmtime::Result<()> {
        if self.ready(event)? { Ok(()) } else { Err(would_wait()) }
    }

    fn drop(&mut self, event: Resource<Event>) -> wasmtime::Result<()> {
        self.wasi.handles.delete(event)?;
        Ok(())
    }
}
