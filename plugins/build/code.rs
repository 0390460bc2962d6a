//! Compiles the components to code with a `host` that has a compiler: the one that HOST_COMPILER names, or else one that is built here.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use sha2::{Digest, Sha256};

use super::{PLUGINS, inner_cargo, variable};

/// The target of code that is interpreted, on any machine.
const INTERPRETER: &str = "pulley64";
/// Environment variable with the path of a `host` of this source that has a compiler and runs on the build machine.
const COMPILER: &str = "HOST_COMPILER";

/// Compiles each plugin: for machines of the target, and for the interpreter.
pub(crate) fn all() -> Result<(), Box<dyn Error>> {
    let (out, target) = (PathBuf::from(variable("OUT_DIR")?), variable("TARGET")?);
    println!("cargo::rerun-if-env-changed={COMPILER}");
    let compiler = match env::var_os(COMPILER) {
        Some(compiler) => PathBuf::from(compiler),
        None => build_compiler(&out.join("compiler"))?,
    };
    println!("cargo::rerun-if-changed={}", compiler.display());
    for input in ["build.rs", "build/code.rs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    for (target, kind) in [(target.as_str(), "native"), (INTERPRETER, "interpreted")] {
        pack(&compiler, target, &out, kind)?;
    }
    Ok(())
}

/// Writes the code of all plugins for a target as KIND.zst, and the range of each in the unpacked data as KIND.rs. All in one file, because
/// their code is similar: together it packs to a seventh, separately to a third.
fn pack(compiler: &Path, target: &str, out: &Path, kind: &str) -> Result<(), Box<dyn Error>> {
    let (mut all, mut places) = (Vec::new(), String::new());
    let (one, whole) = (out.join("one.cwasm"), out.join(kind));
    for plugin in PLUGINS {
        let mut compile = Command::new(compiler);
        // In a directory without a subdirectory named like a plugin.
        compile.current_dir(out).args(["plugin", "compile", plugin, "--target", target, "--output"]).arg(&one);
        run(compile)?;
        let start = all.len();
        let code = fs::read(&one)?;
        all.extend_from_slice(&code);
        let (end, digest) = (all.len(), <[u8; 32]>::from(Sha256::digest(&code)));
        places.push_str(&format!("Place {{ name: {plugin:?}, start: {start}, end: {end}, digest: {digest:?} }},\n"));
    }
    fs::write(&whole, &all)?;
    let mut zstd = Command::new("zstd");
    // A window of 8 MiB: unpacking takes as much memory.
    zstd.args(["--quiet", "--force", "--ultra", "-22", "--long=23", "--output-dir-flat"]).arg(out).arg(&whole);
    run(zstd)?;
    Ok(fs::write(out.join(kind).with_extension("rs"), format!("[{places}]"))?)
}

fn run(mut command: Command) -> Result<(), Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done =
        command.output().map_err(|error| format!("{name} does not start: {error}; `make setup` installs what is missing"))?;
    if !done.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(())
}

/// Builds a `host` of this source with a compiler, for the build machine.
fn build_compiler(target_dir: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    for input in ["../host", "../bpf", "../wit", "../Cargo.lock", "../Cargo.toml", "."] {
        println!("cargo::rerun-if-changed={}", here.join(input).display());
    }
    let mut cargo = inner_cargo()?;
    cargo.args(["build", "--release", "--package", "host", "--manifest-path"]).arg(here.join("../Cargo.toml"));
    cargo.arg("--target-dir").arg(target_dir);
    if !cargo.status()?.success() {
        return Err("building a host with a compiler failed".into());
    }
    Ok(target_dir.join("release/host"))
}
