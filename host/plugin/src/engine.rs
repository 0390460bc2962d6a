//! The engine, one per process: runs code, compiles it if the build has a compiler, and ends calls that take too long.

#[cfg(feature = "compiler")]
mod compilers;
mod ticker;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::imports::{self, Imports};
use crate::limits::{CORE_INSTANCES, MEMORIES, MOST_ELEMENTS, TABLES};
#[cfg(feature = "compiler")]
pub(crate) use compilers::{compiler_for, compiler_here};
use ticker::Ticker;

/// The engine of the process; a clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasm: wasmtime::Engine,
    linker: Linker<Imports>,
    ticker: Ticker,
    /// Whether compiled code checks the epoch.
    interrupts: bool,
    execution: Execution,
    #[cfg(feature = "compiler")]
    compilers: compilers::Compilers,
}

/// How plugin code is executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Execution {
    /// As machine code, in memory that is made executable.
    #[default]
    Native,
    /// As bytecode that an interpreter reads (wasmtime's Pulley): slower by an order of magnitude, and no memory is made executable.
    Interpreted,
}

/// Why the engine does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the WebAssembly engine does not start: {0}; check the limits on address space (`ulimit -v`) and threads of this process, or \
     lower `engine.instances` in the configuration"
)]
pub struct EngineError(String);

/// Default maximum of instances that live at the same time: paths times stages, twice during a swap. Each reserves 4 GiB of address space,
/// but no memory.
pub const INSTANCES: u32 = 256;

/// Whether this build can compile.
pub const COMPILES: bool = cfg!(feature = "compiler");

/// Target of code that runs on any processor of this machine's architecture.
#[cfg(target_arch = "x86_64")]
pub(crate) const MADE_FOR: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
pub(crate) const MADE_FOR: &str = "aarch64-unknown-linux-gnu";

/// Target of code for the interpreter, on both architectures.
pub(crate) const INTERPRETER: &str = "pulley64";

// === impl Engine ===

impl Engine {
    /// Starts an engine for machine code, and its ticker.
    ///
    /// # Errors
    /// The process may not reserve the address space, or may not start a thread.
    pub fn new() -> Result<Self, EngineError> {
        Self::start(true, Execution::Native, INSTANCES)
    }

    /// Starts an engine with this execution and at most `instances` instances.
    ///
    /// # Errors
    /// Those of [`Engine::new`].
    pub fn with(execution: Execution, instances: u32) -> Result<Self, EngineError> {
        Self::start(true, execution, instances)
    }

    /// Starts an engine whose calls have no deadline, to measure what deadlines cost.
    ///
    /// # Errors
    /// Those of [`Engine::new`].
    #[doc(hidden)]
    pub fn without_interruption() -> Result<Self, EngineError> {
        Self::start(false, Execution::Native, INSTANCES)
    }

    fn start(interrupts: bool, execution: Execution, instances: u32) -> Result<Self, EngineError> {
        let fail = |error: &dyn std::fmt::Display| EngineError(host_model::printable(&error.to_string(), 200));
        let started = config(interrupts, execution, instances).and_then(|config| wasmtime::Engine::new(&config));
        let wasm = started.map_err(|error| fail(&format!("{error:#}")))?;
        let mut linker = Linker::new(&wasm);
        imports::link(&mut linker).map_err(|error| fail(&error))?;
        let ticker = Ticker::start(wasm.weak()).map_err(|error| fail(&error))?;
        #[cfg(feature = "compiler")]
        let compilers = compilers::Compilers::of(&wasm).map_err(|error| fail(&error))?;
        let inner = Inner {
            wasm,
            linker,
            ticker,
            interrupts,
            execution,
            #[cfg(feature = "compiler")]
            compilers,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.inner.wasm
    }

    /// Returns how it executes code.
    #[must_use]
    pub fn execution(&self) -> Execution {
        self.inner.execution
    }

    /// Returns the target of code that runs here: for `host plugin compile --target`.
    #[must_use]
    pub fn target(&self) -> &'static str {
        match self.inner.execution {
            Execution::Native => MADE_FOR,
            Execution::Interpreted => INTERPRETER,
        }
    }

    pub(crate) fn linker(&self) -> &Linker<Imports> {
        &self.inner.linker
    }

    /// Sets the deadline of a call that begins now.
    pub(crate) fn arm(&self, store: &mut Store<Imports>, deadline: Duration) {
        if !self.inner.interrupts {
            return;
        }
        self.inner.ticker.keep_going();
        let ticks = store.data_mut().deadline.start(deadline);
        store.set_epoch_deadline(ticks);
    }
}

fn config(interrupts: bool, execution: Execution, instances: u32) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(8))
        .table_elements(MOST_ELEMENTS)
        .max_core_instances_per_component(CORE_INSTANCES as u32)
        .max_memories_per_component(MEMORIES as u32)
        .max_tables_per_component(TABLES as u32);
    let mut config = code(interrupts, execution)?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(config)
}

/// Returns the settings that determine the code: the same for every engine of every build, so that one can run code of another.
fn code(interrupts: bool, execution: Execution) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .epoch_interruption(interrupts)
        // Calls are synchronous; with concurrency support each would create a task.
        .concurrency_support(false)
        // Plugins need no garbage collection; with it, code would require a collector.
        .gc_support(false)
        // A trap names the function in which it happened; more frames are useless without the source.
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(4))
        // Plugin code is not debugged with a native debugger.
        .generate_address_map(false)
        .native_unwind_info(false);
    if execution == Execution::Interpreted {
        config.target(INTERPRETER)?;
    }
    Ok(config)
}
