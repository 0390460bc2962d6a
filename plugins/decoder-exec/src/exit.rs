//! How a process ended.

use plugin_sdk::Text;

use crate::record::ExecRecord;

/// Writes `error.type`: the signal that killed the process, or an exit code that is not 0.
pub(crate) fn error_type(process: ExecRecord<'_>, text: &mut Text) {
    match (process.exit_signal(), process.exit_code()) {
        (0, 0) => {}
        (0, code) => drop(text.number(u64::from(code.unsigned_abs()))),
        (number, _) => drop(text.str(signal_name(number))),
    }
}

/// Writes the body of an exit: `exited with 1`, `killed by SIGKILL`.
pub(crate) fn describe(process: ExecRecord<'_>, text: &mut Text) {
    match process.exit_signal() {
        0 => drop(text.str("exited with ").number(u64::from(process.exit_code().unsigned_abs()))),
        number => drop(text.str("killed by ").str(signal_name(number))),
    }
}

/// Returns the name of a signal; empty for 0, and one name for all signals without a name.
pub(crate) fn signal_name(number: u32) -> &'static str {
    let real_time = if number < 65 { "SIGRT" } else { "_OTHER" };
    SIGNALS.get(number as usize).copied().unwrap_or(real_time)
}

/// Names by number, as on every architecture that this runs on (asm-generic/signal.h).
#[rustfmt::skip]
const SIGNALS: [&str; 32] = [
    "", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS",
    "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM",
    "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
];
