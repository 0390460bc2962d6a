//! Least privilege: the output of `host doctor --caps` is enough, and none of it can be missing; once the probes are attached only the
//! threads that need capabilities have any.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use host_tests::daemon::{Host, host, host_binary, stderr};
use host_tests::turn::{Turn, turn_as_root};
use host_tests::wait_for;
use serde::Deserialize;

use crate::guests::built_in;

const NOBODY: u32 = 65_534;
const SOON: Duration = Duration::from_secs(20);
/// Only the ledger, on standard output.
const QUIET: [&str; 2] = ["--output", "none"];
/// Threads that may have capabilities, by name.
const PRIVILEGED: [&str; 3] = ["loader", "reader", "uprobes"];
/// The bits of the capabilities that may last.
const BITS: [(&str, u32); 5] =
    [("CAP_BPF", 39), ("CAP_PERFMON", 38), ("CAP_SYS_PTRACE", 19), ("CAP_DAC_READ_SEARCH", 2), ("CAP_SYS_ADMIN", 21)];

/// `host doctor --caps --format json`, the part that scripts may rely on.
#[derive(Deserialize)]
struct Caps {
    required: Vec<Taken>,
    optional: Vec<Taken>,
    grant: Grant,
}

#[derive(Deserialize)]
struct Taken {
    capability: String,
    lasting: bool,
    reasons: Vec<String>,
}

#[derive(Deserialize)]
struct Grant {
    setpriv: String,
    capsh: String,
}

/// The binary and a home, where user `nobody` can reach them, wherever the repository is.
struct Confined {
    _turn: Turn,
    folder: tempfile::TempDir,
}

// === impl Confined ===

impl Confined {
    fn new(turn: Turn) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(host_binary(), folder.path().join("host")).unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        Self { _turn: turn, folder }
    }

    fn home(&self, file: &str) -> PathBuf {
        self.folder.path().join("home").join(file)
    }

    fn config(&self, text: &str) -> String {
        let file = self.folder.path().join("host.toml");
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// Returns the capabilities that the doctor lists for a run with these arguments.
    fn caps(&self, arguments: &[&str]) -> Caps {
        let output = host(&[&["doctor", "--caps", "--format", "json"], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs for a second as an ordinary user with exactly these capabilities.
    fn run(&self, capabilities: &[&str], arguments: &[&str]) -> Output {
        let set: String =
            capabilities.iter().map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase())).collect();
        let set = format!("-all{set}");
        let user = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--no-new-privs"]);
        command.args(["--bounding-set", &set, "--inh-caps", &set, "--ambient-caps", &set]);
        command.arg(self.folder.path().join("host")).args(self.arguments()).args(arguments);
        self.environment(&mut command);
        command.output().unwrap()
    }

    /// Runs a line that the doctor printed.
    fn paste(&self, line: &str, arguments: &[&str]) -> Output {
        let run =
            format!("{} {} {}", self.folder.path().join("host").display(), self.arguments().join(" "), arguments.join(" "));
        let mut command = Command::new("sh");
        command.args(["-c", &line.replace("host run", &run)]);
        self.environment(&mut command);
        command.output().unwrap()
    }

    fn arguments(&self) -> [&'static str; 5] {
        ["run", "--no-replay", "--duration", "1s", "--format=json"]
    }

    fn environment(&self, command: &mut Command) {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("NO_COLOR", "1").current_dir(self.home(""));
        command.env("HOME", self.home("")).env("XDG_RUNTIME_DIR", self.home(""));
    }
}

fn names(taken: &[Taken]) -> Vec<&str> {
    taken.iter().map(|taken| taken.capability.as_str()).collect()
}

/// Checks that the process saw this machine's events, and counted all of them.
fn assert_live(output: &Output, what: &str) {
    assert!(output.status.success(), "{what}: {}", stderr(output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["mode"], &report["balanced"]), (&"live".into(), &true.into()), "{what}: {report}");
}

/// Returns `CapEff` of every thread, with its name, and whether no thread can gain any.
fn threads(pid: u32) -> (BTreeMap<String, u64>, bool) {
    let (mut held, mut locked) = (BTreeMap::new(), true);
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let folder = task.unwrap().path();
        // A thread that has just ended has none.
        let Ok(status) = fs::read_to_string(folder.join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let bits = ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"].map(|set| u64::from_str_radix(&field(set), 16).unwrap());
        locked &= field("NoNewPrivs:") == "1";
        let id = folder.file_name().unwrap().to_string_lossy().into_owned();
        held.insert(format!("{} {id}", field("Name:")), bits.into_iter().fold(0, |all, bits| all | bits));
    }
    (held, locked)
}

/// Returns the threads that have any.
fn privileged(pid: u32) -> BTreeMap<String, u64> {
    let (mut held, locked) = threads(pid);
    assert!(locked, "a thread may gain privileges: {held:?}");
    assert!(held.len() > 5, "{held:?}");
    held.retain(|_, bits| *bits != 0);
    held
}

fn is_privileged(thread: &str) -> bool {
    PRIVILEGED.iter().any(|name| thread.starts_with(&format!("{name} ")))
}

#[test]
fn what_the_doctor_prints_is_enough_and_none_of_it_can_be_missing_needs_root() {
    let Some(turn) = turn_as_root() else { return };
    let confined = Confined::new(turn);
    let all = confined.config("[privilege]\nprocesses = \"all\"\n");
    let probes = ["exec", "file", "l7", "tcp"].map(|probe| vec!["--probe", probe]);
    for arguments in [vec![], vec!["--config", &all], vec!["--config", &all, "--probe", "exec"]].into_iter().chain(probes) {
        let what = arguments.join(" ");
        let caps = confined.caps(&arguments);
        let required = names(&caps.required);
        assert!(required.starts_with(&["CAP_BPF", "CAP_PERFMON"]), "{what}: {required:?}");
        let arguments = [&arguments[..], &QUIET].concat();
        assert_live(&confined.run(&required, &arguments), &what);
        for missing in &required {
            let others: Vec<&str> = required.iter().copied().filter(|other| other != missing).collect();
            let output = confined.run(&others, &arguments);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(5), "{what} without {missing}: {said}");
            assert!(said.contains(&format!("{missing} missing, for ")) && said.contains("--caps"), "{what}: {said}");
            for other in others {
                assert!(!said.contains(&format!("{other} missing")), "{what}, {other} is there: {said}");
            }
        }
    }
}

#[test]
fn the_lines_that_the_doctor_prints_can_be_pasted_needs_root() {
    let Some(turn) = turn_as_root() else { return };
    let confined = Confined::new(turn);
    let caps = confined.caps(&[]);
    for line in [caps.grant.setpriv, caps.grant.capsh] {
        assert_live(&confined.paste(&line, &QUIET), &line);
    }
}

#[test]
fn what_is_optional_is_what_the_host_sees_less_of_without_it_needs_root() {
    let Some(turn) = turn_as_root() else { return };
    let confined = Confined::new(turn);
    let caps = confined.caps(&["--probe", "file"]);
    let optional = caps.optional.iter().find(|taken| taken.capability == "CAP_SYS_PTRACE").expect("it is optional");
    assert!(optional.reasons.iter().any(|reason| reason.contains("enricher.process")), "{:?}", optional.reasons);
    let executables = |capabilities: &[&str]| {
        // A process of root, which an ordinary user may not inspect.
        let mut child = Command::new("sh").args(["-c", "while :; do sleep 0.3; done"]).spawn().unwrap();
        let output = confined.run(capabilities, &["--probe", "file", "--comm", "sleep", "--output", "jsonl"]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains("/sleep\"")).count()
    };
    assert_eq!(executables(&["CAP_BPF", "CAP_PERFMON"]), 0);
    assert!(executables(&["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"]) > 0);
}

#[test]
fn once_it_is_ready_only_the_threads_that_load_and_look_have_capabilities_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let output = host(&["doctor", "--caps", "--format", "json"]);
    let caps: Caps = serde_json::from_slice(&output.stdout).unwrap();
    let lasting = caps.required.iter().chain(&caps.optional).filter(|taken| taken.lasting);
    let bit = |taken: &Taken| BITS.iter().find(|(name, _)| *name == taken.capability).map_or(0, |(_, bit)| 1_u64 << bit);
    let lasting = lasting.fold(0, |bits, taken| bits | bit(taken));
    let mut host = Host::run(&["--output", "none"]);
    let settled = || {
        let held = privileged(host.pid());
        held.iter().all(|(thread, bits)| is_privileged(thread) && bits & !lasting == 0).then_some(held)
    };
    // Breakpoints are set after the first scan of all processes.
    let held = wait_for("no more than what lasts", SOON, settled);
    for name in PRIVILEGED {
        assert!(held.keys().any(|thread| thread.starts_with(name)), "{name} has nothing left to work with: {held:?}");
    }
    // A probe can still be loaded, and no thread has more capabilities afterwards.
    assert!(host.ask(&["probe", "unload", "tcp"]).status.success());
    let loaded = host.ask(&["probe", "load", "tcp"]);
    assert!(loaded.status.success(), "{}", stderr(&loaded));
    // Threads that read one file, in the reader's name, come and go.
    assert!(settled().is_some(), "{:?}, and before {held:?}", privileged(host.pid()));
    host.stop();
}

#[test]
fn where_nothing_is_to_be_kept_nothing_is_and_a_probe_that_comes_late_is_refused_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("host.toml");
    fs::write(&config, "[privilege]\nafter_attach = \"none\"\n[probes.tcp]\nenabled = false\n").unwrap();
    let mut host = Host::run(&["--config", config.to_str().unwrap(), "--output", "none"]);
    wait_for("a process without capabilities", SOON, || privileged(host.pid()).is_empty().then_some(()));
    let loaded = host.ask(&["probe", "load", "tcp"]);
    assert_eq!(loaded.status.code(), Some(3), "{}", stderr(&loaded));
    let said = stderr(&loaded);
    assert!(said.contains("CAP_BPF") && said.contains("after_attach"), "{said}");
    // The attached probes go on.
    let before = host.status().ledger("exec").kept;
    host.status_when("programs that start", SOON, |status| {
        let _ = Command::new("true").status();
        status.ledger("exec").kept > before
    });
    host.stop();
}

#[test]
fn what_the_operator_may_read_root_reads_also_where_others_may_not_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    // A home as distributions create it: of user `nobody`, and closed to others. Root without CAP_DAC_OVERRIDE is one of these.
    let home = tempfile::tempdir().unwrap();
    let plugin = built_in(home.path(), "sampler-ratio");
    let config = home.path().join("host.toml");
    fs::write(&config, "[plugins.sampler]\ncomponent = \"./sampler-ratio.wasm\"\n").unwrap();
    for path in [home.path(), &plugin, &config] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let capture = home.path().join("exec.capture");
    let arguments = ["--probe", "exec", "--output", "none", "--config"];
    let mut host = Host::run(&[&arguments, &[config.to_str().unwrap(), "--record", capture.to_str().unwrap()][..]].concat());
    let loaded = host.load(&plugin, "sampler", Some("{\"ratio\": 0.5}"));
    assert!(loaded.status.success(), "{}", stderr(&loaded));
    host.stop();
    assert!(capture.metadata().unwrap().len() > 0);
}
