//! Compiles foreign components in a process of its own: a component that attacks the compiler harms that process alone, which has limits of
//! memory and time, and ends with the host.
//!
//! ```text
//! host                                    host, started as `host-compile`
//! limits of the functions, then           limits of the process, then
//! component  ---- standard input ---->    compile
//! map        <--- standard output ----    code, or what is wrong
//! ```
//!
//! The process runs this binary again. Its output is trusted as that of a compiler within the host, but no further: the component is its
//! only input.

mod functions;
mod inside;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use host_model::printable;

use crate::engine::Execution;
pub use inside::{NAME, answer};

/// Settings for compiling foreign components. Cancelling one cancels its clones.
#[derive(Debug, Clone)]
pub struct Apart {
    /// Maximum time for one component.
    time: Duration,
    /// Maximum memory of the process.
    memory_bytes: u64,
    given_up: Arc<AtomicBool>,
}

/// Code that such a process has returned.
pub(crate) struct Made(Vec<u8>);

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCompiled {
    #[error(transparent)]
    Function(#[from] functions::TooMuch),
    #[error("the process that compiles it does not start: {0}")]
    Start(std::io::Error),
    #[error("it was not compiled within {} s (`engine.compile_time`)", .0.as_secs_f64())]
    Late(Duration),
    #[error("its compilation takes more than {} MiB of memory (`engine.compile_memory`)", .0 >> 20)]
    Memory(u64),
    #[error("the host stops")]
    GivenUp,
    /// The compiler's error.
    #[error("{0}")]
    Refused(String),
    #[error("the process that compiles it ended in a way that it never should: {0}")]
    Broken(String),
}

/// Maximum time for one component. A minute: 23 MiB of ordinary functions take seven seconds of processor time.
pub const COMPILE_TIME: Duration = Duration::from_secs(60);
/// Maximum memory for compiling one component. One GiB of address space: the same component takes 200 MiB.
pub const COMPILE_MEMORY: u64 = 1 << 30;

/// Maximum number of bytes of code that are accepted. 512 MiB: eight times the largest component.
const MOST_CODE: u64 = 512 << 20;
/// Maximum number of bytes that are read of the process's standard error.
const WORDS: u64 = 4096;
/// Interval at which cancellation and the time are checked.
const LOOK: Duration = Duration::from_millis(20);
/// Number of threads that it compiles with.
const THREADS: &str = "4";

// === impl Apart ===

impl Apart {
    /// Creates settings with these limits. The binary of this process must call [`answer`] when it is started as [`NAME`].
    #[must_use]
    pub fn new(time: Duration, memory_bytes: u64) -> Self {
        Self { time, memory_bytes, given_up: Arc::default() }
    }

    /// Cancels the current compilation and refuses later ones: the host stops.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Compiles, and waits until it is done.
    pub(crate) fn compile(&self, bytes: &[u8], execution: Execution, interrupts: bool) -> Result<Made, NotCompiled> {
        functions::check(bytes)?;
        let child = self.start(execution, interrupts).map_err(NotCompiled::Start)?;
        self.attend(child, bytes)
    }

    fn start(&self, execution: Execution, interrupts: bool) -> std::io::Result<Child> {
        // The file of the binary may have been replaced: this path leads to the one that runs.
        Command::new("/proc/self/exe")
            .arg0(NAME)
            .args(inside::arguments(execution, interrupts, self.time, self.memory_bytes))
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Sends the component to the process and receives the code, or kills the process.
    fn attend(&self, mut child: Child, bytes: &[u8]) -> Result<Made, NotCompiled> {
        let began = Instant::now();
        let (Some(mut input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(NotCompiled::Broken("it has no pipes".into()));
        };
        std::thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            // The thread ends when the process does, if not before.
            scope.spawn(move || {
                // If the process ends before it has read everything, its exit status below says why.
                let _ = input.write_all(bytes);
                drop(input);
                let (mut code, mut words) = (Vec::new(), Vec::new());
                let _ = output.take(MOST_CODE).read_to_end(&mut code);
                let _ = errors.take(WORDS).read_to_end(&mut words);
                let _ = tell.send((code, words));
            });
            let said = loop {
                match told.recv_timeout(LOOK) {
                    Ok(said) => break Ok(said),
                    Err(RecvTimeoutError::Disconnected) => break Err(NotCompiled::Broken("nothing came of it".into())),
                    Err(RecvTimeoutError::Timeout) if self.given_up.load(Ordering::Relaxed) => break Err(NotCompiled::GivenUp),
                    Err(RecvTimeoutError::Timeout) if began.elapsed() > self.time => break Err(NotCompiled::Late(self.time)),
                    Err(RecvTimeoutError::Timeout) => {}
                }
            };
            if said.is_err() {
                let _ = child.kill();
            }
            let status = child.wait().map_err(|error| NotCompiled::Broken(error.to_string()))?;
            let (code, words) = said?;
            self.judge(status, code, &String::from_utf8_lossy(&words))
        })
    }

    fn judge(&self, status: ExitStatus, code: Vec<u8>, words: &str) -> Result<Made, NotCompiled> {
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Made(code)),
            (Some(inside::REFUSED), _) => Err(NotCompiled::Refused(printable(&String::from_utf8_lossy(&code), 512))),
            (_, Some(libc_signal::XCPU)) => Err(NotCompiled::Late(self.time)),
            // When memory is short, the kernel kills the process that uses most.
            (_, Some(libc_signal::KILL)) => Err(NotCompiled::Memory(self.memory_bytes)),
            _ if words.contains("memory allocation of") || words.contains("Cannot allocate memory") => {
                Err(NotCompiled::Memory(self.memory_bytes))
            }
            _ => Err(NotCompiled::Broken(printable(&format!("{status}: {words}"), 300))),
        }
    }
}

/// The signals that show which limit ended a process.
mod libc_signal {
    use rustix::process::Signal;

    pub(super) const KILL: i32 = Signal::KILL.as_raw();
    pub(super) const XCPU: i32 = Signal::XCPU.as_raw();
}

// === impl Made ===

impl Made {
    pub(crate) fn code(&self) -> &[u8] {
        &self.0
    }
}

// === impl NotCompiled ===

impl NotCompiled {
    /// Returns the cure.
    pub(crate) const fn cure(&self) -> &'static str {
        match self {
            Self::Function(_) => {
                "break up the largest function of the plugin (`wasm-tools objdump` shows them), or build it for size; what a compiler \
                 made of real source is far below this"
            }
            Self::Start(_) => "see the limits on processes (`TasksMax=`, `ulimit -u`), and that /proc is mounted",
            Self::Late(_) => "build it for size, break up its largest functions, or raise `compile_time` under [engine]",
            Self::Memory(_) => "build it for size, break up its largest functions, or raise `compile_memory` under [engine]",
            Self::GivenUp => "load it again once the host runs",
            Self::Refused(_) => crate::refusal::NOT_TAKEN,
            Self::Broken(_) => {
                "this is a bug of the compiler that the component shows: tell its authors, or load another version"
            }
        }
    }
}

/// Whether this process was started to compile, and with what arguments.
#[must_use]
pub fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    (arguments.next()? == NAME).then(|| arguments.collect())
}
