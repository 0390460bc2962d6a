//! A host under test: the real binary, started like an operator starts it, queried through its own command line.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::wait_for;

/// `host run` in a folder of its own. Killed when dropped.
pub struct Host {
    binary: PathBuf,
    child: Child,
    folder: tempfile::TempDir,
    /// Time from start to the ready file.
    pub started_in: Duration,
}

/// `host status --format json`, the part that scripts may rely on.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct Status {
    pub balanced: bool,
    pub paths: Vec<PathStatus>,
    pub swaps: Vec<Swap>,
    pub process: ProcessStatus,
    pub export: ExportStatus,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct PathStatus {
    pub probe: String,
    pub ledger: Ledger,
    pub plugins: Vec<PluginStatus>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct Ledger {
    pub produced: u64,
    pub filtered_in_kernel: u64,
    pub missed_in_kernel: u64,
    pub lost_in_ring: u64,
    pub received: u64,
    pub undecodable: u64,
    pub decoded: u64,
    #[serde(default)]
    pub routed: u64,
    #[serde(default)]
    pub unrouted: u64,
    #[serde(default)]
    pub held: u64,
    pub sampled_out: u64,
    pub kept: u64,
    pub exported: u64,
    pub dropped_at_export: u64,
    pub in_flight: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct PluginStatus {
    pub slot: String,
    pub name: String,
    pub version: String,
    pub digest: String,
    pub generation: u64,
    pub state: String,
    pub calls: u64,
    pub rows: u64,
    pub traps: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub memory_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct Swap {
    pub slot: String,
    pub from: String,
    pub to: String,
    pub pause_ns: u64,
    pub rows_during: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct ProcessStatus {
    pub rss_bytes: u64,
    pub cpu_seconds: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[allow(missing_docs, reason = "the names are the contract")]
pub struct ExportStatus {
    pub queue_bytes: u64,
}

/// Maximum time of a start, on a busy machine or an emulated one.
const READY: Duration = Duration::from_secs(180);

/// Returns the binary under test: `HOST_BIN`, or the one that was built beside this test.
#[must_use]
pub fn host_binary() -> PathBuf {
    std::env::var_os("HOST_BIN").map_or_else(|| crate::binary("host"), PathBuf::from)
}

/// Runs `host` with these arguments to its end.
///
/// # Panics
/// The host cannot be started.
#[must_use]
pub fn host(arguments: &[&str]) -> Output {
    ask(&host_binary(), arguments)
}

/// Runs a binary of the host with these arguments to its end.
///
/// # Panics
/// The binary cannot be started.
#[must_use]
pub fn ask(binary: &Path, arguments: &[&str]) -> Output {
    Command::new(binary).args(arguments).env("NO_COLOR", "1").stdin(Stdio::null()).output().unwrap()
}

/// Returns the standard error of a command.
#[must_use]
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// === impl Host ===

impl Host {
    /// Starts `host run` with these arguments beside `--socket` and `--ready-file`, and waits until it is ready.
    ///
    /// # Panics
    /// The host ends or is not ready within three minutes; prints its output.
    #[must_use]
    pub fn run(arguments: &[&str]) -> Self {
        Self::run_with(arguments, |_, _| {})
    }

    /// Like [`Host::run`]; `prepare` may change the command and the folder that the host will use.
    ///
    /// # Panics
    /// The same as those of [`Host::run`].
    #[must_use]
    pub fn run_with(arguments: &[&str], prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        Self::start(arguments, prepare).unwrap_or_else(|said| panic!("host ended before it was ready:\n{said}"))
    }

    /// Like [`Host::run_with`], if the host may refuse to start.
    ///
    /// # Errors
    /// The host has ended; returns its output.
    ///
    /// # Panics
    /// The host is not ready within three minutes; prints its output.
    pub fn start(arguments: &[&str], prepare: impl FnOnce(&mut Command, &Path)) -> Result<Self, String> {
        Self::spawn(arguments, prepare).ready()
    }

    /// Like [`Host::run`], with another binary; `wrapper` is a command that it is an argument of.
    ///
    /// # Panics
    /// The same as those of [`Host::run`].
    #[must_use]
    pub fn run_binary(binary: &Path, wrapper: &[&str], arguments: &[&str]) -> Self {
        let host = Self::spawn_binary(binary, wrapper, arguments, |_, _| {});
        host.ready().unwrap_or_else(|said| panic!("host ended before it was ready:\n{said}"))
    }

    /// Waits until the host is ready.
    ///
    /// # Errors
    /// The host has ended; returns its output.
    ///
    /// # Panics
    /// The host is not ready within three minutes; prints its output.
    pub fn ready(mut self) -> Result<Self, String> {
        let start = Instant::now();
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return Err(self.stderr());
            }
            if self.path("ready").exists() {
                self.started_in = start.elapsed();
                return Ok(self);
            }
            assert!(start.elapsed() < READY, "host is not ready within {READY:?}:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts `host run` and does not wait.
    ///
    /// # Panics
    /// The host cannot be started.
    #[must_use]
    pub fn spawn(arguments: &[&str], prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        Self::spawn_binary(&host_binary(), &[], arguments, prepare)
    }

    fn spawn_binary(binary: &Path, wrapper: &[&str], arguments: &[&str], prepare: impl FnOnce(&mut Command, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let words: Vec<&OsStr> = wrapper.iter().map(OsStr::new).chain([binary.as_os_str()]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("run").args(arguments);
        command.arg("--socket").arg(folder.path().join("socket"));
        command.arg("--ready-file").arg(folder.path().join("ready"));
        // State that it keeps between two runs must not be the machine's.
        command.env("STATE_DIRECTORY", folder.path().join("state"));
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        prepare(&mut command, folder.path());
        let child = command.spawn().unwrap();
        Self { binary: binary.to_owned(), child, folder, started_in: Duration::ZERO }
    }

    /// Returns a file in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a client of its control socket.
    #[must_use]
    pub fn control(&self) -> crate::control::Control {
        crate::control::Control::new(self.path("socket"))
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("stdout")).unwrap_or_default()).into_owned()
    }

    /// Returns its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("stderr")).unwrap_or_default()).into_owned()
    }

    /// Runs `host` with these arguments and its socket.
    #[must_use]
    pub fn ask(&self, arguments: &[&str]) -> Output {
        let socket = self.path("socket");
        ask(&self.binary, &[arguments, &["--socket", socket.to_str().unwrap()]].concat())
    }

    /// Returns its status.
    ///
    /// # Panics
    /// The host returns no status, or other JSON than the contract says.
    #[must_use]
    pub fn status(&self) -> Status {
        let output = self.ask(&["status", "--format", "json"]);
        assert!(output.status.success(), "host status: {}\n{}", stderr(&output), self.stderr());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Returns the status once `condition` holds.
    ///
    /// # Panics
    /// `condition` does not hold within `within`; prints the last status.
    pub fn status_when(&self, what: &str, within: Duration, condition: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        loop {
            let status = self.status();
            if condition(&status) {
                return status;
            }
            assert!(start.elapsed() < within, "waited {within:?} for {what}, in vain: {status:#?}\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Loads a plugin into a slot.
    #[must_use]
    pub fn load(&self, file: &Path, slot: &str, config: Option<&str>) -> Output {
        let file = file.to_str().unwrap();
        let config = config.map(|config| ["--config", config]);
        let arguments = ["plugin", "load", file, "--slot", slot];
        self.ask(&[&arguments[..], config.as_ref().map_or(&[], |config| &config[..])].concat())
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// The host has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// The host does not end within a minute.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of host", Duration::from_secs(60), || self.child.try_wait().unwrap())
    }

    /// Asks the host to drain and end; returns its standard output and standard error.
    ///
    /// # Panics
    /// The host fails.
    pub fn stop(&mut self) -> (String, String) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "host ended with {status}:\n{}", self.stderr());
        (self.stdout(), self.stderr())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Status ===

impl Status {
    /// Returns the ledger of a path.
    ///
    /// # Panics
    /// There is no such path.
    #[must_use]
    pub fn ledger(&self, probe: &str) -> Ledger {
        self.path(probe).ledger
    }

    /// Returns a path.
    ///
    /// # Panics
    /// There is no such path.
    #[must_use]
    pub fn path(&self, probe: &str) -> &PathStatus {
        self.paths.iter().find(|path| path.probe == probe).unwrap_or_else(|| panic!("there is no path `{probe}`: {self:#?}"))
    }

    /// Returns a plugin of a path.
    ///
    /// # Panics
    /// The slot is empty.
    #[must_use]
    pub fn plugin(&self, probe: &str, slot: &str) -> &PluginStatus {
        let path = self.path(probe);
        path.plugins.iter().find(|plugin| plugin.slot == slot).unwrap_or_else(|| panic!("nothing is in `{slot}`: {path:#?}"))
    }
}
