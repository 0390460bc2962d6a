//! Signals: those that ask for an end always get one, even if something hangs, and others end nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first wrong answer"
)]

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, tcflow};

/// Maximum time for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn capture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/captures/default.capture")
}

fn host(folder: &Path, arguments: &[&str]) -> Command {
    let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
    host.args(arguments).arg("--socket").arg(folder.join("host.sock")).arg("--state-dir").arg(folder.join("state"));
    host.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    host
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process has a handler for this signal.
fn hears(child: &Child, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    caught.is_some_and(|caught| caught >> (signal.as_raw() - 1) & 1 == 1)
}

/// Returns how the process ended, and after how long; kills it if it does not end.
fn ended(child: &mut Child) -> (ExitStatus, Duration) {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status, start.elapsed());
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn said(child: &mut Child) -> String {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

#[test]
fn signals_that_operators_send_by_habit_end_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let capture = capture();
    let mut replay = host(folder.path(), &["replay", capture.to_str().unwrap(), "--speed", "real", "--output", "none"]);
    let mut replay = replay.spawn().unwrap();
    until("handlers", || hears(&replay, Signal::TERM) && hears(&replay, Signal::XFSZ));
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::ALARM, Signal::PIPE, Signal::PROF, Signal::VTALARM] {
        send(&replay, signal);
    }
    let (status, _) = ended(&mut replay);
    let said = said(&mut replay);
    assert!(status.success(), "{status}: {said}");
    assert!(said.contains("SIGHUP: ") && said.contains("signal 10 asks for nothing here"), "{said}");
}

#[test]
fn each_signal_that_asks_for_an_end_drains() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let folder = tempfile::tempdir().unwrap();
        let capture = capture();
        let arguments = ["replay", capture.to_str().unwrap(), "--speed", "real", "--output", "none", "--format", "json"];
        let mut replay = host(folder.path(), &arguments);
        let mut replay = replay.stdout(Stdio::piped()).spawn().unwrap();
        until("handlers", || hears(&replay, Signal::TERM));
        send(&replay, signal);
        let (status, _) = ended(&mut replay);
        let mut ledger = String::new();
        replay.stdout.take().unwrap().read_to_string(&mut ledger).unwrap();
        assert!(status.success(), "{signal:?}: {status}: {}", said(&mut replay));
        let ledger: serde_json::Value = serde_json::from_str(&ledger).expect("the ledger is printed");
        assert_eq!(ledger["balanced"], true, "{ledger}");
    }
}

#[test]
fn a_start_that_hangs_is_called_off() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    // The pipe has no reader: opening it for writing blocks for ever.
    let record = pipe.to_str().unwrap();
    let mut run = host(folder.path(), &["run", "--output", "none", "--no-replay", "--probe", "exec", "--record", record]);
    let mut run = run.spawn().unwrap();
    until("handlers, or the end for lack of privilege", || {
        hears(&run, Signal::TERM) || Path::new(&format!("/proc/{}", run.id())).exists() && is_zombie(&run)
    });
    if is_zombie(&run) {
        run.wait().unwrap();
        return;
    }
    send(&run, Signal::TERM);
    let (status, took) = ended(&mut run);
    let said = said(&mut run);
    assert!(status.success(), "{status}: {said}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(!folder.path().join("host.sock").exists(), "it takes its files away");
}

/// Whether the process has ended and its status was not read yet.
fn is_zombie(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn a_terminal_that_takes_nothing_does_not_keep_it_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let program = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    // Stops the output like Ctrl-S.
    tcflow(&program, Action::OOff).unwrap();
    let config = folder.path().join("host.toml");
    std::fs::write(&config, "[export]\ndrain = \"1s\"\n").unwrap();
    let (capture, ready) = (capture(), folder.path().join("ready"));
    let end = || Stdio::from(program.try_clone().unwrap());
    let mut run = host(folder.path(), &["run", "--replay", capture.to_str().unwrap(), "--config", config.to_str().unwrap()]);
    run.arg("--ready-file").arg(&ready).env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
    let mut run = run.spawn().unwrap();
    until("it to be ready", || ready.exists());
    send(&run, Signal::TERM);
    let (status, took) = ended(&mut run);
    // One second for a collector and two more; the rest is for a busy machine.
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!((status.code(), status.signal()), (Some(1), None), "it could not end well, and says so");
    assert!(!ready.exists() && !folder.path().join("host.sock").exists(), "it takes its files away");
}
