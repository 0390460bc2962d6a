//! Builds the guests of `tests/guests` once per test run and makes components of them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use wit_component::ComponentEncoder;

/// The component that behaves as its configuration says.
pub(crate) fn faulty() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| component(&core("faulty")))
}

/// The component that calls the host.
pub(crate) fn curious() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| component(&core("curious")))
}

/// The component that draws random numbers.
pub(crate) fn lucky() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| component(&core("lucky")))
}

/// The component that uses the whole standard library: of WASI 0.2, as rustc makes it.
pub(crate) fn worldly() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(build("wasm32-wasip2", &["worldly"]).join("worldly.wasm")).unwrap())
}

/// The same for WASI preview 1, through the stub adapter.
pub(crate) fn adapted() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let module = std::fs::read(build("wasm32-wasip1", &["worldly"]).join("worldly.wasm")).unwrap();
        let mut encoder = ComponentEncoder::default();
        let encoder = encoder.validate(true).module(&module).unwrap();
        encoder.adapter("wasi_snapshot_preview1", host_plugin::STUB_ADAPTER).unwrap().encode().unwrap()
    })
}

/// The component that decodes a protocol.
pub(crate) fn talker() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| component(&core("talker")))
}

/// The component that panics, made with the SDK.
pub(crate) fn panicky() -> Vec<u8> {
    component(&core("panicky"))
}

/// The core module of a guest.
pub(crate) fn core(name: &str) -> Vec<u8> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| build("wasm32-unknown-unknown", &["faulty", "curious", "lucky", "panicky", "talker"]));
    std::fs::read(folder.join(name).with_extension("wasm")).unwrap()
}

/// Returns a component with every `from` replaced by a `to` of the same length.
pub(crate) fn patched(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = component.to_vec();
    let mut at = 0;
    let mut found = false;
    while let Some(next) = bytes[at..].windows(from.len()).position(|window| window == from.as_bytes()) {
        at += next;
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        found = true;
    }
    assert!(found, "the component does not contain {from}");
    bytes
}

fn component(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}

/// Cargo ensures that nothing is built twice, also across test runs and processes.
fn build(target: &str, guests: &[&str]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/Cargo.toml");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--target", target, "--manifest-path", manifest])
        .args(guests.iter().flat_map(|guest| ["--package", guest]))
        .arg("--target-dir")
        .arg(&folder)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the guests do not build: is the target {target} installed? (make setup)");
    folder.join(target).join("release")
}
