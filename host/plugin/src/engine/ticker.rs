//! The ticker: a thread that advances the epoch while calls are made, so that those that take too long end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};

use wasmtime::EngineWeak;

use crate::deadline::{LONGEST_CALL, TICK};

/// Number of ticks without a call after which the ticker rests.
const PATIENCE: u128 = LONGEST_CALL.as_millis() / TICK.as_millis() + 2;

/// Advances the epoch while calls are made, and sleeps without wake-ups when there are none.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Whether a call was made since the last tick.
    used: AtomicBool,
    /// Whether the thread rests until it is woken.
    resting: AtomicBool,
    stop: AtomicBool,
}

// === impl Ticker ===

impl Ticker {
    pub(super) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let handle = std::thread::Builder::new()
            .name("plugin-ticker".into())
            .stack_size(64 << 10)
            .spawn(move || of_thread.tick(&engine))?;
        Ok(Self { shared, thread: handle.thread().clone(), handle: Some(handle) })
    }

    /// Wakes the ticker; called at every call. Costs one load while the ticker runs.
    pub(super) fn keep_going(&self) {
        if !self.shared.used.load(Ordering::Relaxed) {
            self.shared.used.store(true, Ordering::SeqCst);
            if self.shared.resting.swap(false, Ordering::SeqCst) {
                self.thread.unpark();
            }
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            // The thread cannot panic, and an error could not be reported from here.
            let _ = handle.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn tick(&self, engine: &EngineWeak) {
        let mut quiet = 0;
        while !self.stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            quiet = if self.used.swap(false, Ordering::SeqCst) { 0 } else { quiet + 1 };
            if quiet > PATIENCE {
                self.rest();
                quiet = 0;
            }
        }
    }

    /// Sleeps until the next call begins; no earlier call can still run.
    fn rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) && !self.used.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}
