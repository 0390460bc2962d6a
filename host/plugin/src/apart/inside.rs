//! The process that compiles one component.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};

use crate::engine::{Execution, compiler_here};
use crate::limits::LARGEST_COMPONENT;

/// Name under which the binary is started to compile.
pub const NAME: &str = "host-compile";

/// Exit code after the compiler's error was written to standard output.
pub(super) const REFUSED: i32 = 3;

/// Niceness of the process: loading a plugin can wait, a path cannot.
const NICENESS: i32 = 10;
/// Limit of processor time as a multiple of the time limit: the number of threads.
const PROCESSORS: u64 = 4;

/// Returns the arguments for [`answer`].
pub(super) fn arguments(execution: Execution, interrupts: bool, time: Duration, memory_bytes: u64) -> [String; 4] {
    let execution = if execution == Execution::Interpreted { "interpreted" } else { "native" };
    let interrupts = if interrupts { "interrupts" } else { "runs-on" };
    [execution.into(), interrupts.into(), time.as_secs().max(1).to_string(), memory_bytes.to_string()]
}

/// Compiles the component from standard input; must be called first in a process that was [started to](super::asked).
#[must_use]
pub fn answer(arguments: &[OsString]) -> ExitCode {
    match compile(arguments) {
        Ok(code) => match std::io::stdout().lock().write_all(&code) {
            Ok(()) => ExitCode::SUCCESS,
            // The parent no longer reads.
            Err(_) => ExitCode::FAILURE,
        },
        Err(problem) => {
            let _ = std::io::stdout().lock().write_all(problem.as_bytes());
            ExitCode::from(REFUSED as u8)
        }
    }
}

fn compile(arguments: &[OsString]) -> Result<Vec<u8>, String> {
    let words: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let &[execution, interrupts, seconds, memory_bytes] = words.as_slice() else {
        return Err("it is started by `host` only".into());
    };
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    confine(number(seconds)?, number(memory_bytes)?).map_err(|errno| format!("its limits cannot be set: {errno}"))?;
    let mut bytes = Vec::new();
    let most = LARGEST_COMPONENT as u64;
    std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let execution = if execution == "interpreted" { Execution::Interpreted } else { Execution::Native };
    let compiler = compiler_here(execution, interrupts == "interrupts").map_err(|error| format!("{error:#}"))?;
    compiler.precompile_component(&bytes).map_err(|error| format!("{error:#}"))
}

/// Limits this process to what compiling needs.
fn confine(seconds: u64, memory_bytes: u64) -> rustix::io::Result<()> {
    // The process ends with the host.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limit = |resource, most: u64| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::As, memory_bytes)?;
    limit(Resource::Cpu, seconds.saturating_mul(PROCESSORS))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    // Both protect other processes, and are optional: this one is killed first when memory is short,
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // and gets processor time last.
    let _ = nice(NICENESS);
    Ok(())
}
