//! Compiles every `<probe>/probe.bpf.c` for both architectures, so that errors in either are found; the crate embeds the objects of its
//! target.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directory names of the probes; `src/lib.rs` lists the same.
const PROBES: [&str; 4] = ["exec", "file", "l7", "tcp"];
/// Names of the architectures: in Rust, and in libbpf's headers.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "x86"), ("aarch64", "arm64")];

fn main() -> Result<(), Box<dyn Error>> {
    for watched in ["build.rs", "include"].iter().chain(&PROBES) {
        println!("cargo::rerun-if-changed={watched}");
    }
    for variable in ["BPF_CLANG", "BPF_STRIP"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (rust, libbpf) in ARCHITECTURES {
        for probe in PROBES {
            let object = out.join(format!("{probe}.{rust}.bpf.o"));
            compile(&source, probe, libbpf, &object)?;
            strip(&object);
        }
    }
    Ok(())
}

fn compile(source: &Path, probe: &str, arch: &str, object: &Path) -> Result<(), Box<dyn Error>> {
    let clang = env::var("BPF_CLANG").unwrap_or_else(|_| "clang".into());
    let output = Command::new(&clang)
        .args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-mlittle-endian", "-fno-stack-protector", "-Wall", "-Werror"])
        .arg(format!("-D__TARGET_ARCH_{arch}"))
        .arg(format!("-ffile-prefix-map={}=bpf", source.display()))
        .arg("-I")
        .arg(source.join("include"))
        .arg("-c")
        .arg(source.join(probe).join("probe.bpf.c"))
        .arg("-o")
        .arg(object)
        .output()
        .map_err(|error| {
            format!("`{clang}` does not start ({error}): run `make setup`, or set BPF_CLANG to a clang from 14 on")
        })?;
    if output.status.success() {
        return Ok(());
    }
    let talk = String::from_utf8_lossy(&output.stderr);
    Err(format!("{clang} cannot compile probe `{probe}` for {arch} (clang from 14 on is needed: `make setup`):\n{talk}").into())
}

/// Strips DWARF but not BTF: 5 times smaller. A missing tool is not an error, as objects also load unstripped.
fn strip(object: &Path) {
    let strip = env::var("BPF_STRIP").unwrap_or_else(|_| "llvm-strip".into());
    if let Err(error) = Command::new(&strip).arg("-g").arg(object).status() {
        println!("cargo::warning=`{strip}` does not start ({error}): BPF objects keep their DWARF (`make setup` installs it)");
    }
}
