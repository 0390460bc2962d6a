//! Drives the real binary: a host under test, load of known counts, a real collector, and the BPF objects that remain in the kernel.
//! Nothing here depends on the crates of the host: it uses the operator's means, the command line and its JSON.

pub mod turn;

pub mod control;
pub mod daemon;
pub mod load;
pub mod guests;

pub mod collector;
pub mod kernel;
pub mod process;

pub mod contender;
pub mod sink;

pub mod requests;
pub mod server;

pub mod machine;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Polls until `condition` returns a value.
///
/// # Panics
/// It returns none within `within`.
pub fn wait_for<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < within, "waited {within:?} for {what}, in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns the root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}

/// Returns the target folder that this program was built into.
///
/// # Panics
/// The program was not built by cargo.
#[must_use]
pub fn target_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let release = own.ancestors().find(|folder| folder.ends_with("release")).expect("it was built by cargo");
    release.parent().map(PathBuf::from).unwrap_or_default()
}

/// Returns a binary that was built beside this test.
///
/// # Panics
/// The binary was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    // Tests run in `release/deps`, binaries in `release`.
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no `{name}` beside {}: run `cargo build --release --workspace` first", own.display())
    })
}
