//! Builds the decoder with clang, and makes a component of it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::ComponentEncoder;

/// The part of a C library that the bindings use: that of the policies.
const LIBC: &str = "../polyglot/c/libc";
/// The sources, beside the bindings.
const SOURCES: [&str; 3] = ["c/decoder.c", "c/tally.c", "c/rows.c"];

fn main() -> ExitCode {
    match decoder() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn decoder() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    for input in ["build.rs", "c", LIBC, "../../wit/v0.1"] {
        println!("cargo::rerun-if-changed={}", here.join(input).display());
    }
    let module = fs::read(core(&here, &out)?)?;
    fs::write(out.join("decoder.wasm"), ComponentEncoder::default().validate(true).module(&module)?.encode()?)?;
    Ok(())
}

/// Builds the core module with clang from the decoder, the bindings and the C library.
fn core(here: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut wit = Resolve::default();
    let (package, _) = wit.push_dir(here.join("../../wit/v0.1"))?;
    let world = wit.select_world(&[package], Some("protocol-plugin"))?;
    let mut bindings = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut wit, world, &mut bindings)?;
    for (name, content) in bindings.iter() {
        fs::write(out.join(name), content)?;
    }
    let core = out.join("decoder.core.wasm");
    let mut clang = Command::new("clang");
    clang.args(["--target=wasm32-unknown-unknown", "-nostdlib", "-ffreestanding", "-O3", "-mbulk-memory", "-Wall", "-Werror"]);
    clang.args(["-Wl,--no-entry", "-Wl,--strip-all"]).arg("-I").arg(here.join(LIBC)).arg("-I").arg(out);
    clang.arg("-o").arg(&core).args(SOURCES.map(|file| here.join(file))).arg(here.join(LIBC).join("libc.c"));
    clang.args(["protocol_plugin.c", "protocol_plugin_component_type.o"].map(|file| out.join(file)));
    match clang.status() {
        Ok(status) if status.success() => Ok(core),
        Ok(status) => Err(format!("{clang:?} ended with {status}: are clang and lld installed? (make setup)").into()),
        Err(error) => Err(format!("{clang:?} does not start: {error}: are clang and lld installed? (make setup)").into()),
    }
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo sets {name} for build scripts: {error}").into())
}
