//! The guest that misbehaves on request, from tests/guests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use wit_component::ComponentEncoder;

/// The file of a component that does what `{"do": ...}` in its configuration says: a sampler and an enricher.
pub(crate) fn faulty() -> &'static str {
    static FILE: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    let (_, file) = FILE.get_or_init(|| {
        let module = std::fs::read(build().join("faulty.wasm")).unwrap();
        let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("faulty.wasm");
        std::fs::write(&file, component).unwrap();
        (folder, file.to_str().unwrap().to_owned())
    });
    file
}

/// Cargo sees to it that nothing is built twice, also across test runs and processes.
fn build() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/Cargo.toml");
    let target = "wasm32-unknown-unknown";
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--package", "faulty", "--target", target])
        .args(["--manifest-path", manifest, "--target-dir"])
        .arg(&folder)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the guests do not build: is the target {target} installed? (make setup)");
    folder.join(target).join("release")
}
