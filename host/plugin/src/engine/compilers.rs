//! The compilers of machine code. A build without feature `compiler` has none.

use std::sync::OnceLock;

use wasmtime::component::Component;

use super::{Engine, Execution, code};
use crate::apart::{Apart, NotCompiled};
use crate::cache::Fingerprint;
use crate::map::{self, Origin};

/// The compile threads of one engine, and the fingerprints of code that it can run.
pub(super) struct Compilers {
    threads: rayon::ThreadPool,
    fingerprint: Fingerprint,
    /// Fingerprint of code for any processor of this architecture, computed on first use; None if there is no compiler for it.
    elsewhere: OnceLock<Option<Fingerprint>>,
}

/// Number of compile threads. Four: most time goes to the largest function, and each thread retains the memory that it once used; the
/// default is one per processor.
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
    /// Compiles, and waits until it is done.
    pub(crate) fn compile(&self, bytes: &[u8]) -> wasmtime::Result<Component> {
        self.inner.compilers.threads.install(|| Component::new(&self.inner.wasm, bytes))
    }

    /// Same as [`Self::compile`], in a process of its own.
    pub(crate) fn compile_apart(&self, bytes: &[u8], apart: &Apart) -> Result<wasmtime::Result<Component>, NotCompiled> {
        let made = apart.compile(bytes, self.execution(), self.inner.interrupts)?;
        Ok(map::load(&self.inner.wasm, &Origin::Made(&made)))
    }

    /// Returns the fingerprints of code that it can run: its own, and then that of code made elsewhere for any processor of this
    /// architecture.
    pub(crate) fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        let elsewhere = || {
            let made = || compiler_for(self.target(), self.inner.interrupts).ok().as_ref().map(Fingerprint::of);
            self.inner.compilers.elsewhere.get_or_init(made).as_ref()
        };
        // The second is computed only if no entry was found with the first.
        std::iter::once(self.fingerprint()).chain(std::iter::once_with(elsewhere).flatten())
    }

    /// Returns the fingerprint of the code that it compiles.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.inner.compilers.fingerprint
    }
}

/// Returns a compiler for this processor, or for the interpreter; an [`Engine`] runs its code.
pub(crate) fn compiler_here(execution: Execution, interrupts: bool) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&code(interrupts, execution)?)
}

/// Returns a compiler for the oldest processor of a target; it runs nothing.
pub(crate) fn compiler_for(target: &str, interrupts: bool) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = code(interrupts, Execution::Native)?;
    config.target(target)?;
    wasmtime::Engine::new(&config)
}
