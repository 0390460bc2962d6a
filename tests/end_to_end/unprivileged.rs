//! Without the privilege for BPF the same path replays a capture, and says so.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use host_tests::daemon::{host_binary, stderr};
use host_tests::turn::{Turn, skip, turn};

const NOBODY: u32 = 65_534;

/// The binary where user `nobody` can reach it, wherever the repository is.
struct Unprivileged {
    _turn: Turn,
    folder: tempfile::TempDir,
    binary: PathBuf,
}

impl Unprivileged {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let binary = folder.path().join("host");
        fs::copy(host_binary(), &binary).unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { _turn: turn(), folder, binary }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env_clear().env("HOME", self.home()).env("XDG_RUNTIME_DIR", self.home()).env("NO_COLOR", "1");
        command.current_dir(self.home());
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    }
}

/// Whether this machine lets every user load BPF programs.
fn is_allowed_anyway() -> bool {
    let allowed =
        fs::read_to_string(Path::new("/proc/sys/kernel/unprivileged_bpf_disabled")).is_ok_and(|text| text.trim() == "0");
    if allowed {
        skip("needs a kernel that refuses BPF to ordinary users");
    }
    allowed
}

#[test]
fn an_ordinary_user_sees_a_capture_pass_through_the_same_plugins() {
    if is_allowed_anyway() {
        return;
    }
    let output = Unprivileged::new().run(&["run", "--output", "jsonl", "--duration", "2s"]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("CAP_BPF"), "it says which capability is missing: {said}");
    assert!(said.contains("replay"), "it says that this is a replay: {said}");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.lines().count() > 0, "events are shown: {said}");
    for line in stdout.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[test]
fn without_replay_a_missing_privilege_is_an_error() {
    if is_allowed_anyway() {
        return;
    }
    let output = Unprivileged::new().run(&["run", "--no-replay", "--duration", "2s"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("CAP_BPF"), "{}", stderr(&output));
}

#[test]
fn the_doctor_names_what_an_ordinary_user_lacks() {
    let output = Unprivileged::new().run(&["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("CAP_BPF"), "{said}");
}
