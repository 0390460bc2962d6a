//! Makes components of the guests in `tests/guests`, so that tests have them as bytes. `wit-component` is a dependency of this script and
//! not of the tests, because there it would turn on features that make cargo compile wasmtime a second time.

#[path = "build/cargo.rs"]
mod cargo;
#[path = "build/conformance.rs"]
mod conformance;
#[path = "build/made.rs"]
mod made;

use std::path::PathBuf;
use std::{env, fs};

use wit_component::ComponentEncoder;

fn main() {
    let guests = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("guests");
    let out = PathBuf::from(variable("OUT_DIR"));
    for input in
        ["build.rs", "build", "guests/Cargo.toml", "guests/Cargo.lock", "guests/faulty", "guests/curious", "../wit/v0.1"]
    {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-changed={}", guests.join("conformance").display());
    let modules = cargo::build(&guests, &out.join("wasm"));
    for guest in ["faulty", "curious"] {
        let module = fs::read(modules.join(guest).with_extension("wasm")).unwrap();
        fs::write(out.join(guest).with_extension("wasm"), component(&module)).unwrap();
        fs::write(out.join(guest).with_extension("core.wasm"), module).unwrap();
    }
    conformance::write(&guests.join("conformance"), &modules.join("examples"), &out);
}

/// Returns the component of a core module, whose custom sections name its world.
fn component(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name} for build scripts: {error}"))
}
