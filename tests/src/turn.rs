//! Turns of tests: those that load the machine run one at a time, and those that cannot run here report it.

use std::io::Write;
use std::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::new(());

/// The lock of a test that has the machine alone, among the tests of its binary.
pub type Turn = MutexGuard<'static, ()>;

/// Waits until no other test of this binary loads the machine.
pub fn turn() -> Turn {
    // A failed test leaves nothing behind that would disturb the next.
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Like [`turn`], for tests that load BPF programs. Without root: reports that the test is skipped, and returns None.
#[must_use]
pub fn turn_as_root() -> Option<Turn> {
    if rustix::process::geteuid().is_root() {
        return Some(turn());
    }
    skip("needs root");
    None
}

/// Reports past the harness's capture that this test did not run; `.ci/test` counts it as skipped.
pub fn skip(reason: &str) {
    say("SKIPPED", reason);
}

/// Reports past the harness's capture the measurements of this test.
pub fn measured(figures: &str) {
    say("MEASURED", figures);
}

fn say(what: &str, text: &str) {
    let thread = std::thread::current();
    let line = format!("{what} {}: {text}\n", thread.name().unwrap_or("a_test_without_a_name"));
    // One write, so that lines of several threads stay whole.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
