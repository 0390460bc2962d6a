//! Whose turn it is: tests that load the machine run one at a time, and those that cannot run here say so.

use std::io::Write;
use std::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::new(());

/// The machine is this test's alone, as far as this test binary goes.
pub type Turn = MutexGuard<'static, ()>;

/// Waits until no other test of this binary loads the machine.
pub fn turn() -> Turn {
    // A test that failed has left nothing behind that the next could not bear.
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// As [`turn`], for tests that load BPF programs. Without root: says that the test is skipped, and gives None.
#[must_use]
pub fn turn_as_root() -> Option<Turn> {
    if rustix::process::geteuid().is_root() {
        return Some(turn());
    }
    skip("needs root");
    None
}

/// Says past the harness's capture that this test did not run; `.ci/test` counts it as skipped.
pub fn skip(reason: &str) {
    say("SKIPPED", reason);
}

/// Says past the harness's capture what this test measured.
pub fn measured(figures: &str) {
    say("MEASURED", figures);
}

fn say(what: &str, text: &str) {
    let thread = std::thread::current();
    let line = format!("{what} {}: {text}\n", thread.name().unwrap_or("a_test_without_a_name"));
    // One write, so that lines of several threads stay whole.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
