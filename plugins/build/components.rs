//! Builds the plugins for Wasm with a separate cargo, and makes a component of each.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wit_component::ComponentEncoder;

use super::{PLUGINS, inner_cargo, variable};

const TARGET: &str = "wasm32-unknown-unknown";
/// Size of the stack. A plugin uses little; the rest of linear memory is for its heap.
const STACK_BYTES: usize = 128 * 1024;

/// Builds a component of each plugin.
pub(crate) fn all() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    for input in [
        "build.rs",
        "build/components.rs",
        "sdk/src",
        "sdk/Cargo.toml",
        "sql/src",
        "../wit/v0.1",
        "../Cargo.toml",
        "../Cargo.lock",
    ] {
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

/// Compiles one plugin; returns its core module.
fn build(here: &Path, plugin: &str, target_dir: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut cargo = inner_cargo()?;
    // `rustc --crate-type` and not a `crate-type` in the manifest: beside an rlib, a cdylib gets no link-time optimisation.
    cargo.args(["rustc", "--lib", "--crate-type", "cdylib", "--profile", "plugin", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(here.join(plugin).join("Cargo.toml")).arg("--target-dir").arg(target_dir);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(here).join("\u{1f}"));
    if !cargo.status()?.success() {
        return Err(format!("building {plugin} for {TARGET} failed").into());
    }
    let module = target_dir.join(TARGET).join("plugin").join(plugin.replace('-', "_")).with_extension("wasm");
    Ok(fs::read(module)?)
}

/// Returns the flags for rustc. Paths of this machine are kept out of the components, so that the same source has the same digest anywhere.
fn flags(here: &Path) -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let places = [(here.parent().map(PathBuf::from), "."), (cargo_home, "cargo")];
    let remap = |(place, name): (Option<PathBuf>, &str)| Some(format!("--remap-path-prefix={}={name}", place?.display()));
    let mut flags: Vec<String> = places.into_iter().filter_map(remap).collect();
    flags.push(format!("-Clink-arg=-zstack-size={STACK_BYTES}"));
    flags
}

/// Makes a component of a core module, whose custom sections define its world.
fn component(core: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(ComponentEncoder::default().validate(true).module(core)?.encode()?)
}
