//! A machine to boot: a kernel, the programs that run on it, and the lines that it prints.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host_tests::machine::{Arch, Disk, Kernel};
use host_tests::target_folder;
use serde_json::Value;
use tempfile::TempDir;

/// Maximum time of a machine: it is emulated, and perhaps beside other work.
const LONG: Duration = Duration::from_secs(600);
/// The programs that were built to run there.
const PROGRAMS: [&str; 4] = ["host", "kernel-guest", "load", "open-load"];

/// A kernel, and programs for its processor.
pub(crate) struct Guest {
    pub(crate) kernel: Kernel,
    programs: PathBuf,
}

// === impl Guest ===

impl Guest {
    /// Finds a machine with the kernel of this name, such as `6.1/x86_64`.
    ///
    /// # Errors
    /// A kernel or program is missing.
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        let kernel = Kernel::find(&target_folder().join("kernels"), name)
            .ok_or_else(|| format!("kernel {name} is not here: .ci/kernels fetches it"))?;
        let arch = kernel.arch;
        let emulator = arch.emulator();
        let starts = Command::new(&emulator).arg("--version").stdout(Stdio::null()).status().is_ok();
        if !starts {
            return Err(format!("{emulator} is not here: make setup installs it"));
        }
        let own = arch.name() == std::env::consts::ARCH;
        let cross = target_folder().join(arch.target()).join("release");
        let programs = if own { target_folder().join("release") } else { cross };
        if !PROGRAMS.iter().all(|program| programs.join(program).is_file()) {
            return Err(format!("there are no programs for {name}: .ci/cross builds them"));
        }
        Ok(Self { kernel, programs })
    }

    /// Creates a disk with the programs, and the code of every plugin in the binary.
    pub(crate) fn disk(&self) -> Disk {
        let mut disk = Disk::default();
        for name in PROGRAMS {
            disk.program(&format!("/bin/{name}"), &self.programs.join(name));
        }
        disk.private("/state/cache", &compiled(self.kernel.arch).path().join("cache"));
        disk
    }

    /// Boots with this disk and runs a command; returns its rows, and the output of the console.
    pub(crate) fn boot(&self, mut disk: Disk, command: &str) -> (Vec<Value>, String) {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk");
        disk.write(
            &image,
            &self.kernel.busybox(),
            &format!("export HOST_BIN=/bin/host ROTEL_BIN=/bin/rotel-agent\n{command} 2>&1"),
        );
        let console = self.kernel.boot(&image, LONG);
        let rows = console.lines().filter_map(|line| line.split_once("ROW ")?.1.split_once(" END"));
        let rows = rows.map(|(row, _)| serde_json::from_str(row).unwrap_or_else(|error| panic!("{error}: {row}"))).collect();
        (rows, console)
    }
}

/// Returns the code of every plugin in the binary for a processor: under emulation it would take minutes to compile.
fn compiled(arch: Arch) -> Arc<TempDir> {
    static COMPILED: Mutex<Option<HashMap<&str, Arc<TempDir>>>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = compiled.get_or_insert_default().entry(arch.name()).or_insert_with(|| {
        let folder = tempfile::tempdir().unwrap();
        compile(arch, &folder.path().join("cache"));
        Arc::new(folder)
    });
    Arc::clone(compiled)
}

fn compile(arch: Arch, out: &Path) {
    let host = target_folder().join("release/host");
    for component in plugins::COMPONENTS {
        let mut compile = Command::new(&host);
        compile.args(["plugin", "compile", component.name, "--target", &arch.target(), "--out"]).arg(out);
        assert!(compile.stdout(Stdio::null()).status().unwrap().success(), "{}", component.name);
    }
}
