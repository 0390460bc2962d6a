//! Plugins as files: those in the binary, and hostile ones.

use std::fs;
use std::path::{Path, PathBuf};

use host_tests::guests::conformance;

/// Writes a built-in plugin to a file.
pub(crate) fn built_in(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name).with_extension("wasm");
    fs::write(&path, plugins::component(name).unwrap().bytes).unwrap();
    path
}

/// Writes the guest that behaves as `{"do": ...}` says to a file.
pub(crate) fn faulty(folder: &Path) -> PathBuf {
    let path = folder.join("faulty.wasm");
    fs::write(&path, host_tests::guests::FAULTY).unwrap();
    path
}

/// Writes a conformance guest to a file.
pub(crate) fn hostile(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name).with_extension("wasm");
    fs::write(&path, conformance::bytes(name)).unwrap();
    path
}

/// Writes another component that does the same: the bytes of the first, and an unused section.
pub(crate) fn variant(file: &Path, number: u8) -> PathBuf {
    let mut bytes = fs::read(file).unwrap();
    bytes.extend_from_slice(&[0, 3, 1, b'v', number]);
    // The file keeps its name: it names a plugin whose component has no name, and state goes only to a plugin of the same name.
    let folder = file.with_file_name(number.to_string());
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(file.file_name().unwrap());
    fs::write(&path, bytes).unwrap();
    path
}
