//! The engine: one per process. It compiles, and its ticker ends calls that take too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::cache::Fingerprint;
use crate::deadline::{LONGEST_CALL, TICK};
use crate::imports::{self, Imports};
use crate::limits::{CORE_INSTANCES, MEMORIES, MOST_ELEMENTS, TABLES};

/// One per process; a clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasm: wasmtime::Engine,
    linker: Linker<Imports>,
    compilers: rayon::ThreadPool,
    ticker: Ticker,
    /// Whether its code looks at the epoch.
    interrupts: bool,
    fingerprint: Fingerprint,
    /// Of code for any processor of this kind, once it was asked for; None if there is no compiler for it.
    elsewhere: OnceLock<Option<Fingerprint>>,
}

/// Why there is no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the WebAssembly engine does not start: {0}; check the limits on address space (`ulimit -v`) and threads of this process"
)]
pub struct EngineError(String);

/// Instances that live at the same time. Paths times stages, twice during a swap; every one takes 4 GiB of addresses, no memory.
const INSTANCES: u32 = 256;

/// Threads that compile. Four: the largest function is what takes long, and each thread keeps the memory that it once used;
/// without this there would be one for each processor.
const COMPILERS: usize = 4;

/// The target of code that runs on any processor of this machine's kind.
#[cfg(target_arch = "x86_64")]
pub(crate) const MADE_FOR: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
pub(crate) const MADE_FOR: &str = "aarch64-unknown-linux-gnu";

/// Ticks without a call after which the ticker rests.
const PATIENCE: u128 = LONGEST_CALL.as_millis() / TICK.as_millis() + 2;

/// Advances the epoch while calls are made, and sleeps without a wake-up when there are none.
struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// A call was made since the last tick.
    used: AtomicBool,
    /// The thread rests until it is woken.
    resting: AtomicBool,
    stop: AtomicBool,
}

// === impl Engine ===

impl Engine {
    /// Starts the engine and its ticker.
    ///
    /// # Errors
    /// The process may not reserve the addresses, or may not start a thread.
    pub fn new() -> Result<Self, EngineError> {
        Self::start(true)
    }

    /// An engine whose calls have no deadline, for measuring what deadlines cost.
    ///
    /// # Errors
    /// As [`Engine::new`].
    #[doc(hidden)]
    pub fn without_interruption() -> Result<Self, EngineError> {
        Self::start(false)
    }

    fn start(interrupts: bool) -> Result<Self, EngineError> {
        let fail = |error: &dyn std::fmt::Display| EngineError(host_model::printable(&error.to_string(), 200));
        let wasm = wasmtime::Engine::new(&config(interrupts)).map_err(|error| fail(&format!("{error:#}")))?;
        let mut linker = Linker::new(&wasm);
        imports::link(&mut linker).map_err(|error| fail(&error))?;
        let ticker = Ticker::start(wasm.weak()).map_err(|error| fail(&error))?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(COMPILERS);
        let compilers = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|_| "plugin-compiler".into());
        let compilers = compilers.build().map_err(|error| fail(&error))?;
        let (fingerprint, elsewhere) = (Fingerprint::of(&wasm), OnceLock::new());
        Ok(Self { inner: Arc::new(Inner { wasm, linker, compilers, ticker, interrupts, fingerprint, elsewhere }) })
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.inner.wasm
    }

    /// Compiles, and waits for it.
    pub(crate) fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        self.inner.compilers.install(|| Component::new(&self.inner.wasm, bytes))
    }

    /// Whose compiled code it can run: its own, and then what another machine made for any processor of this kind.
    pub(crate) fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        let elsewhere = || {
            let made = || compiler_for(MADE_FOR, self.inner.interrupts).ok().as_ref().map(Fingerprint::of);
            self.inner.elsewhere.get_or_init(made).as_ref()
        };
        // Only a start that did not find its own asks for the other.
        std::iter::once(self.fingerprint()).chain(std::iter::once_with(elsewhere).flatten())
    }

    /// Of the code that it compiles.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.inner.fingerprint
    }

    pub(crate) fn linker(&self) -> &Linker<Imports> {
        &self.inner.linker
    }

    /// Sees to it that a call which begins now ends at its deadline.
    pub(crate) fn arm(&self, store: &mut Store<Imports>, deadline: Duration) {
        if !self.inner.interrupts {
            return;
        }
        self.inner.ticker.keep_going();
        let ticks = store.data_mut().deadline.start(deadline);
        store.set_epoch_deadline(ticks);
    }
}

/// A compiler for the oldest processor of a target; it runs nothing.
pub(crate) fn compiler_for(target: &str, interrupts: bool) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = code(interrupts);
    config.target(target)?;
    wasmtime::Engine::new(&config)
}

fn config(interrupts: bool) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 8)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES * 8)
        .table_elements(MOST_ELEMENTS)
        .max_core_instances_per_component(CORE_INSTANCES as u32)
        .max_memories_per_component(MEMORIES as u32)
        .max_tables_per_component(TABLES as u32);
    let mut config = code(interrupts);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// What shapes machine code: the same for every engine, so that one can run what another has compiled.
fn code(interrupts: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(interrupts)
        // Calls are synchronous; without this each would set up a task.
        .concurrency_support(false)
        // A trap names the function it happened in; more frames help nobody without the source.
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(4))
        // Nothing here is debugged with a native debugger.
        .generate_address_map(false)
        .native_unwind_info(false);
    config
}

// === impl Ticker ===

impl Ticker {
    fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let handle = std::thread::Builder::new()
            .name("plugin-ticker".into())
            .stack_size(64 << 10)
            .spawn(move || of_thread.tick(&engine))?;
        Ok(Self { shared, thread: handle.thread().clone(), handle: Some(handle) })
    }

    /// Called for every call: one load, as long as the ticker runs.
    fn keep_going(&self) {
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
            // The thread cannot panic, and there is nobody to tell.
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

    /// No call that began before can still run. Sleeps until the next one begins.
    fn rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) && !self.used.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}
