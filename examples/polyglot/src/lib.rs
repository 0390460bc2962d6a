//! One policy in five languages, as components.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// The languages, cheapest first.
pub const LANGUAGES: [&str; 5] = ["rust", "c", "go", "javascript", "python"];

/// The policy in Rust.
pub static RUST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rust.wasm"));

/// The policy in C.
pub static C: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/c.wasm"));

/// The environment variable with the folder that `make polyglot` put the other components into.
pub const FOLDER: &str = "POLYGLOT";

/// Returns the available policies by language: those in Rust and C always; the others if `POLYGLOT` names their folder, and then all of
/// them.
///
/// # Panics
/// `POLYGLOT` names a folder that lacks a component.
#[must_use]
#[allow(clippy::panic, reason = "a test that skipped a language in silence would be worth nothing")]
pub fn policies() -> Vec<(&'static str, Vec<u8>)> {
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    let bytes = |language| match (language, &folder) {
        ("rust", _) => Some(RUST.to_vec()),
        ("c", _) => Some(C.to_vec()),
        (_, None) => None,
        (_, Some(folder)) => Some(made(&folder.join(language).with_extension("wasm"))),
    };
    LANGUAGES.into_iter().filter_map(|language| Some((language, bytes(language)?))).collect()
}

#[allow(clippy::panic, reason = "as of its caller")]
fn made(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}; `make polyglot` makes it", file.display()))
}
