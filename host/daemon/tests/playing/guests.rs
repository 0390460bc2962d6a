//! Guests from tests/guests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use wit_component::ComponentEncoder;

/// The file of a component that behaves as `{"do": ...}` in its configuration says: a sampler and an enricher.
pub(crate) fn faulty() -> &'static str {
    static FILE: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    &FILE.get_or_init(|| component("faulty")).1
}

/// The file of a decoder of a protocol of lines: clients send `PING`, servers `PONG`.
pub(crate) fn talker() -> &'static str {
    static FILE: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    &FILE.get_or_init(|| component("talker")).1
}

fn component(guest: &str) -> (tempfile::TempDir, String) {
    let module = std::fs::read(build(guest).join(guest).with_extension("wasm")).unwrap();
    let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(guest).with_extension("wasm");
    std::fs::write(&file, component).unwrap();
    (folder, file.to_str().unwrap().to_owned())
}

/// Cargo ensures that nothing is built twice, also across test runs and processes.
fn build(guest: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/Cargo.toml");
    let target = "wasm32-unknown-unknown";
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--package", guest, "--target", target])
        .args(["--manifest-path", manifest, "--target-dir"])
        .arg(&folder)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the guests do not build: is the target {target} installed? (make setup)");
    folder.join(target).join("release")
}
