//! Makes components of the guests in `tests/guests`, so that tests find them as bytes. `wit-component` is a dependency of this
//! script and not of the tests, because as theirs it would turn on features that make cargo compile wasmtime a second time.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

fn main() {
    let guests = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("guests");
    let out = PathBuf::from(variable("OUT_DIR"));
    for input in ["Cargo.toml", "Cargo.lock", "faulty", "curious", "../../wit/v0.1"] {
        println!("cargo::rerun-if-changed={}", guests.join(input).display());
    }
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--release", "--locked", "--target", TARGET, "--manifest-path"]).arg(guests.join("Cargo.toml"));
    // A target folder of its own: the outer cargo holds the lock of the other.
    cargo.arg("--target-dir").arg(out.join("wasm"));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let of_outer_build = name.starts_with("CARGO_ENCODED")
            || name.starts_with("CARGO_CFG")
            || name == "RUSTFLAGS"
            || name == "RUSTC_WRAPPER"
            // Clippy's: the guests are not what is to be linted.
            || name == "RUSTC_WORKSPACE_WRAPPER";
        if of_outer_build || name == "CARGO_TARGET_DIR" {
            cargo.env_remove(name);
        }
    }
    assert!(cargo.status().unwrap().success(), "the guests do not build: is the target {TARGET} installed? (make setup)");
    for guest in ["faulty", "curious"] {
        let module = fs::read(out.join("wasm").join(TARGET).join("release").join(guest).with_extension("wasm")).unwrap();
        let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
        fs::write(out.join(guest).with_extension("core.wasm"), module).unwrap();
        fs::write(out.join(guest).with_extension("wasm"), component).unwrap();
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name} for build scripts: {error}"))
}
