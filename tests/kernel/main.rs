//! Every probe on other kernels, in virtual machines: the same ground truth and the same ledger as on the machine itself.
//! `KERNELS="6.1/x86_64 6.12/x86_64"` chooses; `make test-kernels` takes all and writes docs/kernels.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use host_tests::machine::{Arch, Disk, Kernel};
use host_tests::turn::{measured, skip, turn};
use host_tests::{repository, target_folder};
use serde_json::Value;

/// One old, one new.
const FEW: &str = "6.1/x86_64 7.3/x86_64";
/// Emulated, and perhaps beside other work.
const LONG: Duration = Duration::from_secs(300);

/// A machine's account of one probe.
struct Row {
    kernel: String,
    arch: &'static str,
    said: Value,
}

#[test]
fn every_probe_counts_exactly_on_every_kernel() {
    let _turn = turn();
    let chosen = std::env::var("KERNELS").unwrap_or_else(|_| FEW.to_owned());
    let kernels = target_folder().join("kernels");
    let mut rows = Vec::new();
    for name in chosen.split_whitespace() {
        let Some(kernel) = Kernel::find(&kernels, name) else {
            return skip(&format!("kernel {name} is not here: .ci/kernels fetches it"));
        };
        let Some(programs) = programs(kernel.arch) else {
            return skip(&format!("no binaries for {name} were built"));
        };
        rows.extend(run(&kernel, &programs));
    }
    if std::env::var("KERNELS_TABLE").as_deref() == Ok("write") {
        fs::write(repository().join("docs/kernels.md"), table(&rows)).unwrap();
    }
    for Row { kernel, arch, said } in &rows {
        measured(&format!("{kernel} {arch}: {said}"));
    }
    let wrong: Vec<String> = rows.iter().filter_map(Row::wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where the programs for an architecture are: those of this build, or those that were cross-built.
fn programs(arch: Arch) -> Option<PathBuf> {
    let own = arch.name() == std::env::consts::ARCH;
    let cross = target_folder().join(format!("{}-unknown-linux-gnu/release", arch.name()));
    let folder = if own { target_folder().join("release") } else { cross };
    ["host", "kernel-guest", "load"].iter().all(|name| folder.join(name).is_file()).then_some(folder)
}

fn run(kernel: &Kernel, programs: &Path) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    compiled(kernel.arch, &cache);
    let mut disk = Disk::default();
    for name in ["host", "kernel-guest", "load"] {
        disk.program(&format!("/bin/{name}"), &programs.join(name));
    }
    disk.private("/state/cache", &cache);
    let image = folder.path().join("disk");
    disk.write(&image, &kernel.busybox(), "HOST_BIN=/bin/host kernel-guest 2>&1");
    let said = kernel.boot(&image, LONG);
    let rows: Vec<Row> = said
        .lines()
        .filter_map(|line| line.split_once("ROW ")?.1.rsplit_once('}').map(|(json, _)| format!("{json}}}")))
        .map(|json| Row {
            kernel: kernel.version(),
            arch: kernel.arch.name(),
            said: serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}")),
        })
        .collect();
    assert_eq!(rows.len(), 4, "a row for each probe on {} {}:\n{said}", kernel.series, kernel.arch.name());
    rows
}

/// Compiles every plugin in the binary for that machine: emulated, it would take minutes to.
fn compiled(arch: Arch, out: &Path) {
    let host = target_folder().join("release/host");
    for component in plugins::COMPONENTS {
        let mut compile = Command::new(&host);
        compile
            .args(["plugin", "compile", component.name, "--target", &format!("{}-unknown-linux-gnu", arch.name()), "--out"])
            .arg(out);
        assert!(compile.stdout(Stdio::null()).status().unwrap().success(), "{}", component.name);
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Kernels\n\nWhat `make test-kernels` saw in virtual machines, under loads of known counts. Generated; do not edit.\n\n\
         | kernel | architecture | probe | hooks | counted | of | lost | missed by the kernel | verdict |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let said = &row.said;
        let hooks: Vec<&str> = said["hooks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let verdict = row.wrong().unwrap_or_else(|| "exact".into());
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {verdict} |\n",
            row.kernel,
            row.arch,
            said["probe"].as_str().unwrap_or_default(),
            hooks.join(", "),
            said["counted"],
            said["expected"],
            said["lost"],
            said["missed"],
        );
    }
    text
}

// === impl Row ===

impl Row {
    /// What is wrong with it, if anything is.
    fn wrong(&self) -> Option<String> {
        let said = &self.said;
        let about = || format!("{} {}: {said}", self.kernel, self.arch);
        if said["failed"].is_string() {
            return Some(about());
        }
        let number = |key: &str| said[key].as_u64().unwrap_or(u64::MAX);
        // A record that the kernel did not run the program for is a loss that the ledger tells.
        let exact = number("counted") == number("expected")
            || number("counted") + number("missed") + number("lost") == number("expected");
        (!exact || said["balanced"] != true).then(about)
    }
}
