//! The compilers of machine code. A build without feature `compiler` has none.

use std::sync::OnceLock;

use wasmtime::component::Component;

use super::{Engine, Execution, code};
use crate::apart::{Apart, NotCompiled};
use crate::cache::Fingerprint;
use crate::map::{self, Origin};

/// The threads that compile for one engine, and whose code it can run.
pub(super) struct Compilers {
    threads: rayon::ThreadPool,
    fingerprint: Fingerprint,
    /// The fingerprint of code for any processor of this kind, once it was asked for; None if there is no compiler for it.
    elsewhere: OnceLock<Option<Fingerprint>>,
}

/// Threads that compile. Four: the largest function is what takes long, and each thread keeps the memory that it once used;
/// without this there would be one for each processor.
const THREADS: usize = 4;

// === impl Compilers ===

impl Compilers {
    pub(super) fn of(wasm: &wasmtime::Engine) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|_| "plugin-compiler".into()).build()?;
        Ok(Self { threads, fingerprint: Fingerprint::of(wasm), elsewhere: OnceLock::new() })
    }
}

// === impl Engine ===

impl Engine {
    /// Compiles, and waits for it.
    pub(crate) fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        self.inner.compilers.threads.install(|| Component::new(&self.inner.wasm, bytes))
    }

    /// The same in a process of its own.
    pub(crate) fn compile_apart(&self, bytes: &[u8], apart: &Apart) -> Result<wasmtime::Result<Component>, NotCompiled> {
        let made = apart.compile(bytes, self.execution(), self.inner.interrupts)?;
        Ok(map::load(&self.inner.wasm, &Origin::Made(&made)))
    }

    /// Whose compiled code it can run: its own, and then what another machine made for any processor of this kind.
    pub(crate) fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        let elsewhere = || {
            let made = || compiler_for(self.target(), self.inner.interrupts).ok().as_ref().map(Fingerprint::of);
            self.inner.compilers.elsewhere.get_or_init(made).as_ref()
        };
        // Only a start that did not find its own asks for the other.
        std::iter::once(self.fingerprint()).chain(std::iter::once_with(elsewhere).flatten())
    }

    /// Of the code that it compiles.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.inner.compilers.fingerprint
    }
}

/// A compiler for this processor, or for the interpreter, whose code an [`Engine`] runs; it runs nothing.
pub(crate) fn compiler_here(execution: Execution, interrupts: bool) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&code(interrupts, execution)?)
}

/// A compiler for the oldest processor of a target; it runs nothing.
pub(crate) fn compiler_for(target: &str, interrupts: bool) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = code(interrupts, Execution::Native)?;
    config.target(target)?;
    wasmtime::Engine::new(&config)
}
