//! WASI 0.2, empty: the imports of standard libraries link, and find nothing. `wit/wasi/README.md` lists the answer of each function.
//!
//! No function here waits or holds a file descriptor, and no crate behind it could open one.

mod absent;
mod seeds;
#[allow(unreachable_pub, reason = "the bindings pass its types on")]
mod streams;
#[allow(unreachable_pub, reason = "the bindings pass its types on")]
mod time;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};

pub(crate) use absent::complete;
use generated::wasi;
use streams::Lines;

use super::{Forbidden, Imports};

/// Maximum number of resources of one instance. A standard library holds a handful.
const HANDLES: usize = 256;

/// The WASI state of one instance.
pub(super) struct Wasi {
    handles: ResourceTable,
    lines: Lines,
    /// State of the sequence for numbers that need not be secure.
    seed: u64,
}

/// Links the interfaces of WASI that are answered, for every component.
pub(super) fn link(linker: &mut Linker<Imports>) -> wasmtime::Result<()> {
    wasi::cli::environment::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::exit::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::stdin::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::stdout::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::stderr::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::terminal_input::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::terminal_output::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::io::error::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::io::poll::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::io::streams::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::clocks::monotonic_clock::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::clocks::wall_clock::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::random::random::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::random::insecure::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)?;
    wasi::random::insecure_seed::add_to_linker::<_, HasSelf<Imports>>(linker, |imports| imports)
}

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::indexing_slicing, reason = "generated from wit/wasi")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/wasi",
        world: "host:wasi/empty",
        imports: { default: trappable },
        with: {
            "wasi:io/error.error": super::streams::Never,
            "wasi:io/poll.pollable": super::time::Event,
            "wasi:io/streams.input-stream": super::streams::Closed,
            "wasi:io/streams.output-stream": super::streams::Sink,
            "wasi:cli/terminal-input.terminal-input": super::streams::Never,
            "wasi:cli/terminal-output.terminal-output": super::streams::Never,
        },
    });
}

// === impl Wasi ===

impl Wasi {
    pub(super) fn new() -> Self {
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(HANDLES);
        Self { handles, lines: Lines::default(), seed: seeds::FIRST }
    }

    /// Passes a resource to the guest.
    fn hold<T: Send + 'static>(&mut self, resource: T) -> wasmtime::Result<Resource<T>> {
        self.handles.push(resource).map_err(|_| Forbidden::error(format!("more than {HANDLES} resources at once")))
    }
}

// === impl Imports ===

impl wasi::cli::environment::Host for Imports {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.crossed()?;
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        self.crossed()?;
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        self.crossed()?;
        Ok(None)
    }
}

impl wasi::cli::exit::Host for Imports {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        let status = if status.is_ok() { "success" } else { "failure" };
        Err(Forbidden::error(format!("its end (exit with {status}); a plugin has no end of its own")))
    }

    fn exit_with_code(&mut self, status_code: u8) -> wasmtime::Result<()> {
        Err(Forbidden::error(format!("its end (exit with status {status_code}); a plugin has no end of its own")))
    }
}
