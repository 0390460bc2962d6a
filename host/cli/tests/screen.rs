//! `host run` on a terminal: the live table appears and disappears, and the terminal is restored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test stops at the first wrong answer")]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Both ends of a new terminal of 80 columns and 24 lines.
fn terminal() -> (OwnedFd, OwnedFd) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let program = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&program, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (screen, program)
}

#[test]
fn the_live_table_leaves_the_terminal_as_it_was_and_the_ledger_below_it() {
    let (screen, program) = terminal();
    let folder = tempfile::tempdir().unwrap();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/captures/default.capture");
    let end = || Stdio::from(program.try_clone().unwrap());
    let mut host = Command::new(env!("CARGO_BIN_EXE_host"));
    host.args(["run", "--replay"]).arg(capture).arg("--socket").arg(folder.path().join("host.sock"));
    host.arg("--state-dir").arg(folder.path().join("state"));
    host.env("TERM", "xterm").env_remove("NO_COLOR").stdin(end()).stdout(end()).stderr(end());
    let mut running = host.spawn().unwrap();
    // The command holds the program's end of the terminal, too.
    drop(host);
    // Unread output would block the program.
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        // The end of a terminal is reported as an error.
        let _ = File::from(screen).read_to_end(&mut seen);
        String::from_utf8_lossy(&seen).into_owned()
    });
    let status = running.wait().unwrap();
    assert!(tcgetattr(program.as_fd()).unwrap().local_modes.contains(LocalModes::ECHO), "what is typed is seen again");
    drop(program);
    let seen = reader.join().unwrap();

    assert!(status.success(), "{seen}");
    let (table, rest) = seen.split_once("\x1b[?1049l").expect("the old screen comes back");
    assert!(table.contains("\x1b[?1049h") && table.contains("\x1b[?25l"), "{table}");
    assert!(rest.contains("\x1b[?25h") || table.contains("\x1b[?25h"), "the cursor comes back: {seen}");
    assert!(table.contains("REPLAY") && table.contains("EVENTS/S"), "{table}");
    assert_eq!(table.matches("\x1b[2J").count(), 1, "frames are drawn over each other, never on a cleared screen");
    assert!(rest.contains("produced") && rest.contains("exported"), "{rest}");
}
