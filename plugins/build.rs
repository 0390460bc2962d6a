//! Builds the plugins for Wasm with a cargo of its own, and makes a component of each.
//!
//! The nested cargo has its own target directory, because the outer one holds the lock of the other, and none of the outer
//! build's flags, because they are meant for another machine.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use wit_component::ComponentEncoder;

/// The crates that become components; `src/lib.rs` lists them too.
const PLUGINS: [&str; 14] = [
    "decoder-exec",
    "decoder-file",
    "decoder-tcp",
    "decoder-btf",
    "decoder-http",
    "decoder-http2",
    "decoder-redis",
    "decoder-memcached",
    "decoder-dns",
    "decoder-postgresql",
    "decoder-mysql",
    "sampler-ratio",
    "sampler-rate",
    "enricher-process",
];
const TARGET: &str = "wasm32-unknown-unknown";
/// A plugin uses little stack; the rest of linear memory is for its heap.
const STACK_BYTES: usize = 128 * 1024;

fn main() -> ExitCode {
    match components() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn components() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    for input in ["build.rs", "sdk/src", "sdk/Cargo.toml", "sql/src", "../wit/v0.1", "../Cargo.toml", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", here.join(input).display());
    }
    refuse_without_target()?;
    for plugin in PLUGINS {
        println!("cargo::rerun-if-changed={}", here.join(plugin).join("src").display());
        println!("cargo::rerun-if-changed={}", here.join(plugin).join("Cargo.toml").display());
        let core = build(&here, plugin, &out.join("wasm"))?;
        let component = component(&core).map_err(|error| format!("{plugin} is not a component: {error}"))?;
        fs::write(out.join(plugin).with_extension("wasm"), component)?;
    }
    Ok(())
}

/// Fails with the cure if the toolchain has no standard library for Wasm.
fn refuse_without_target() -> Result<(), Box<dyn Error>> {
    let arguments = ["--print", "target-libdir", "--target", TARGET];
    let libraries = Command::new(variable("RUSTC")?).args(arguments).output()?;
    let libraries = PathBuf::from(String::from_utf8(libraries.stdout)?.trim());
    if fs::read_dir(&libraries).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    Err(format!(
        "the plugins are built for {TARGET}, which this toolchain lacks: run `make setup`, or `rustup target add {TARGET}`"
    )
    .into())
}

/// Compiles one plugin; its core module.
fn build(here: &Path, plugin: &str, target_dir: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    // `rustc --crate-type` and not a `crate-type` in the manifest: beside an rlib, a cdylib gets no link-time optimisation.
    cargo.args(["rustc", "--lib", "--crate-type", "cdylib", "--profile", "plugin", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(here.join(plugin).join("Cargo.toml")).arg("--target-dir").arg(target_dir);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(here).join("\u{1f}"));
    if !cargo.status()?.success() {
        return Err(format!("building {plugin} for {TARGET} failed").into());
    }
    let module = target_dir.join(TARGET).join("plugin").join(plugin.replace('-', "_")).with_extension("wasm");
    Ok(fs::read(module)?)
}

/// What rustc is told. Paths of this machine stay out of the components, so that the same source has the same digest anywhere.
fn flags(here: &Path) -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let places = [(here.parent().map(PathBuf::from), "."), (cargo_home, "cargo")];
    let remap = |(place, name): (Option<PathBuf>, &str)| Some(format!("--remap-path-prefix={}={name}", place?.display()));
    let mut flags: Vec<String> = places.into_iter().filter_map(remap).collect();
    flags.push(format!("-Clink-arg=-zstack-size={STACK_BYTES}"));
    flags
}

/// Variables that cargo set for this build script, or that shape the outer build.
fn belongs_to_outer_build(name: &str) -> bool {
    let kept = ["CARGO_HOME", "CARGO_MAKEFLAGS", "RUSTC", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
    let kept_prefixes = ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let shapes = ["CARGO", "RUST", "TARGET", "HOST", "OUT_DIR", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS"];
    shapes.iter().any(|shape| name.starts_with(shape))
        && !kept.contains(&name)
        && !kept_prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The component of a core module, whose custom sections say which world it lives in.
fn component(core: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(ComponentEncoder::default().validate(true).module(core)?.encode()?)
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo sets {name} for build scripts: {error}").into())
}
