//! Plugins as files: those in the binary, and one of `tests/guests` that misbehaves when its configuration says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use host_tests::repository;
use wit_component::ComponentEncoder;

/// Writes a built-in plugin to a file.
pub(crate) fn built_in(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name).with_extension("wasm");
    fs::write(&path, plugins::component(name).unwrap().bytes).unwrap();
    path
}

/// Builds the guest that does what `{"do": ...}` says, and writes it to a file.
pub(crate) fn faulty(folder: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--target", "wasm32-unknown-unknown", "--manifest-path"])
        .arg(repository().join("tests/guests/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the guests do not build: is the target wasm32-unknown-unknown installed? (make setup)");
    let module = fs::read(target.join("wasm32-unknown-unknown/release/faulty.wasm")).unwrap();
    let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
    let path = folder.join("faulty.wasm");
    fs::write(&path, component).unwrap();
    path
}
