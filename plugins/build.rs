//! Builds the plugins that the binary contains: as components, or, without feature `wasm`, as code.
//!
//! The nested cargo has its own target directory, because the outer one holds the lock of the other, and none of the outer
//! build's flags, because they are meant for another machine.

#[cfg(not(feature = "wasm"))]
#[path = "build/code.rs"]
mod made;
#[cfg(feature = "wasm")]
#[path = "build/components.rs"]
mod made;

use std::env;
use std::error::Error;
use std::process::{Command, ExitCode};

/// The crates that become components; `src/components.rs` lists them too.
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

fn main() -> ExitCode {
    match made::all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A cargo that knows nothing of the outer build.
fn inner_cargo() -> Result<Command, Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_build) {
            cargo.env_remove(name);
        }
    }
    Ok(cargo)
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

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo sets {name} for build scripts: {error}").into())
}
