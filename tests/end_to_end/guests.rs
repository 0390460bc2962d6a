//! Plugins as files: those in the binary, and one that misbehaves when its configuration says so.

use std::fs;
use std::path::{Path, PathBuf};

/// Writes a built-in plugin to a file.
pub(crate) fn built_in(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name).with_extension("wasm");
    fs::write(&path, plugins::component(name).unwrap().bytes).unwrap();
    path
}

/// Writes the guest that does what `{"do": ...}` says to a file.
pub(crate) fn faulty(folder: &Path) -> PathBuf {
    let path = folder.join("faulty.wasm");
    fs::write(&path, host_tests::guests::FAULTY).unwrap();
    path
}
