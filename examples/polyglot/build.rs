//! Builds the policy in Rust and in C, whose toolchains are installed anyway. `make polyglot` builds the others.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    match policies() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn policies() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    for input in ["build.rs", "wit", "c", "rust/src", "rust/Cargo.toml", "../../plugins/sdk/src", "../../wit/v0.1"] {
        println!("cargo::rerun-if-changed={}", here.join(input).display());
    }
    for (language, core) in [("rust", rust(&here, &out)?), ("c", c(&here, &out)?)] {
        let module = fs::read(core)?;
        let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
        fs::write(out.join(language).with_extension("wasm"), component)?;
    }
    Ok(())
}

/// Builds the core module with rustc, by a cargo of its own like `plugins/build.rs`.
fn rust(here: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["rustc", "--lib", "--crate-type", "cdylib", "--profile", "plugin", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(here.join("rust/Cargo.toml")).arg("--target-dir").arg(out.join("wasm"));
    // Flags and wrappers of the outer build are for another target.
    let of_outer_build = ["CARGO_ENCODED", "CARGO_CFG", "CARGO_FEATURE", "CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTC_"];
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| of_outer_build.iter().any(|start| name.starts_with(start))) {
            cargo.env_remove(name);
        }
    }
    run(&mut cargo, "is the target wasm32-unknown-unknown installed? (make setup)")?;
    Ok(out.join("wasm").join(TARGET).join("plugin/polyglot_rust.wasm"))
}

/// Builds the core module with clang from the policy, the bindings, and the part of a C library that they use.
fn c(here: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut wit = Resolve::default();
    let (package, _) = wit.push_dir(here.join("wit"))?;
    let world = wit.select_world(&[package], Some("policy"))?;
    let mut bindings = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut wit, world, &mut bindings)?;
    for (name, content) in bindings.iter() {
        fs::write(out.join(name), content)?;
    }
    let core = out.join("c.core.wasm");
    let mut clang = Command::new("clang");
    clang.args(["--target=wasm32-unknown-unknown", "-nostdlib", "-ffreestanding", "-O3", "-mbulk-memory", "-Wall", "-Werror"]);
    clang.args(["-Wl,--no-entry", "-Wl,--strip-all"]).arg("-I").arg(here.join("c/libc")).arg("-I").arg(out);
    clang.arg("-o").arg(&core).arg(here.join("c/sampler.c")).arg(here.join("c/libc/libc.c"));
    clang.args(["policy.c", "policy_component_type.o"].map(|file| out.join(file)));
    run(&mut clang, "are clang and lld installed? (make setup)")?;
    Ok(core)
}

fn run(command: &mut Command, cure: &str) -> Result<(), Box<dyn Error>> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}: {cure}").into()),
        Err(error) => Err(format!("{command:?} does not start: {error}: {cure}").into()),
    }
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo sets {name} for build scripts: {error}").into())
}
