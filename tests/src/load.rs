//! Programs that load the machine on request, and the cgroup that they run in.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A load program that waits for its start line. Killed when dropped.
pub struct Load {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// A cgroup v2 for one test. Removed when dropped.
pub struct Cgroup {
    folder: PathBuf,
}

/// The report of `open-load`.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
pub struct Report {
    /// Number of opens.
    pub operations: u64,
    /// CPU time of the load, nanoseconds.
    pub cpu_ns: u64,
    /// Time from the start line to the end, nanoseconds.
    pub wall_ns: u64,
}

// === impl Load ===

impl Load {
    /// Starts `load` with this work: `opens=N`, `failing=N`, `execs=N`, `program=PATH`, `connections=N`, `cgroup=PATH`.
    #[must_use]
    pub fn counted(work: &[&str]) -> Self {
        Self::start(&crate::binary("load"), work)
    }

    /// Starts `open-load` at a rate per second, 0 for as fast as possible, for at most this many seconds.
    #[must_use]
    pub fn paced(rate: u64, seconds: f64) -> Self {
        Self::start(&crate::binary("open-load"), &["/dev/null", &rate.to_string(), &seconds.to_string()])
    }

    /// Waits for the report of `open-load`.
    ///
    /// # Panics
    /// `open-load` gives no report.
    pub fn report(&mut self) -> Report {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Starts `load` or `open-load` and waits until it is ready to go.
    ///
    /// # Panics
    /// The program does not start.
    #[must_use]
    pub fn start(binary: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut load = Self { child, lines };
        assert_eq!(load.line(), "ready");
        load
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the start line; a second one stops `open-load`.
    ///
    /// # Panics
    /// The program has ended.
    pub fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits for its next line: `done`, or its measurement.
    ///
    /// # Panics
    /// The program ended without a line.
    pub fn line(&mut self) -> String {
        self.lines.next().unwrap_or_else(|| panic!("the load ended too early: {:?}", self.child.wait())).unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Cgroup ===

impl Cgroup {
    /// Makes an empty cgroup. Needs root.
    ///
    /// # Panics
    /// There is no cgroup v2 hierarchy.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let mount = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|fields| fields[2] == "cgroup2");
        let root = PathBuf::from(mount.expect("cgroup v2 is mounted")[1]);
        let folder = root.join(format!("host-tests-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    /// Returns its path.
    ///
    /// # Panics
    /// The path is not UTF-8.
    #[must_use]
    pub fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Killed processes may take a moment to leave.
        for _ in 0..1000 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}
