//! Assembles the stub adapter.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

const SOURCE: &str = "adapters/wasi_snapshot_preview1.stub.wat";

fn main() -> ExitCode {
    match assemble() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{SOURCE}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn assemble() -> Result<(), Box<dyn std::error::Error>> {
    let folder = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo sets {name} for build scripts"));
    let source = folder("CARGO_MANIFEST_DIR")?.join("../..").join(SOURCE);
    println!("cargo::rerun-if-changed={}", source.display());
    let module = wat::parse_file(&source)?;
    fs::write(folder("OUT_DIR")?.join("wasi_snapshot_preview1.stub.wasm"), module)?;
    Ok(())
}
