//! One cargo for all guests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::variable;

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the workspace of the guests; returns the folder of the modules.
pub(crate) fn build(guests: &Path, target_dir: &Path) -> PathBuf {
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--workspace", "--lib", "--examples", "--profile", "guest", "--locked", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(guests.join("Cargo.toml"));
    // A target folder of its own: the outer cargo holds the lock of the other.
    cargo.arg("--target-dir").arg(target_dir);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            cargo.env_remove(name);
        }
    }
    assert!(cargo.status().unwrap().success(), "the guests do not build: is the target {TARGET} installed? (make setup)");
    target_dir.join(TARGET).join("guest")
}

/// Whether a variable configures the outer build and would affect this one.
fn belongs_to_outer_build(name: &str) -> bool {
    name.starts_with("CARGO_ENCODED")
        || name.starts_with("CARGO_CFG")
        // The last is clippy's: the guests are not to be linted here.
        || ["CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"].contains(&name)
}
