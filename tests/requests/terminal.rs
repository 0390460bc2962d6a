//! The view of requests on a terminal: `host run` with 80 columns and real traffic.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use host_tests::daemon::Host;
use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::{measured, turn_as_root};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

const WIDTH: u16 = 80;
const HEIGHT: u16 = 24;
/// The bytes that end each frame of the program under test.
const FRAME_END: &[u8] = b"\x1b[?2026l";
const CTRL_C: &[u8] = b"\x03";

/// A terminal with a thread that reads its screen.
struct Terminal {
    keyboard: File,
    /// The end for programs.
    program: OwnedFd,
    seen: Arc<Mutex<Seen>>,
    eyes: JoinHandle<()>,
}

struct Seen {
    /// Larger than the reported size of the terminal: a line that is too long is not cut, but detected.
    screen: vt100::Parser,
    frames: Vec<Frame>,
}

/// The content of the screen when a frame was complete.
#[derive(Debug, Clone)]
struct Frame(Vec<String>);

/// A line of the table of requests.
#[derive(Debug, PartialEq)]
struct Line {
    method: String,
    route: String,
    status: String,
    per_second: String,
    errors: u64,
    p50: Duration,
    p99: Duration,
}

// === impl Terminal ===

impl Terminal {
    fn new() -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let program = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcsetwinsize(&program, Winsize { ws_row: HEIGHT, ws_col: WIDTH, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let keyboard = File::from(keyboard);
        let seen = Arc::new(Mutex::new(Seen { screen: vt100::Parser::new(4 * HEIGHT, 4 * WIDTH, 0), frames: Vec::new() }));
        let eyes = thread::spawn({
            let (screen, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&seen));
            move || look(screen, &seen)
        });
        Self { keyboard, program, seen, eyes }
    }

    /// Runs a command as a program of this terminal, which gets the signals of its keys.
    fn of(&self, command: &mut Command) {
        let end = || Stdio::from(self.program.try_clone().unwrap());
        let mut here = Command::new("setsid");
        here.arg("--ctty").arg(command.get_program()).args(command.get_args());
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        here.envs(variables).env("TERM", "xterm").env_remove("NO_COLOR").stdin(end()).stdout(end()).stderr(end());
        *command = here;
    }

    /// Returns the first frame from number `from` on that satisfies a condition, and its number.
    fn frame(&self, what: &str, from: usize, condition: impl Fn(&Frame) -> bool) -> (usize, Frame) {
        const WITHIN: Duration = Duration::from_secs(30);
        let start = Instant::now();
        loop {
            let frames = &self.seen.lock().unwrap().frames;
            let found = frames.iter().enumerate().skip(from).find(|(_, frame)| condition(frame));
            if let Some((number, frame)) = found {
                return (number, frame.clone());
            }
            assert!(start.elapsed() < WITHIN, "waited {WITHIN:?} for {what}, in vain: {:#?}", frames.last());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns all frames, once no program has the terminal open.
    fn close(self) -> Seen {
        let Self { keyboard, program, seen, eyes } = self;
        drop(program);
        eyes.join().unwrap();
        drop(keyboard);
        Arc::into_inner(seen).unwrap().into_inner().unwrap()
    }
}

/// Reads the output of a terminal until no program writes to it any more, which is an error.
fn look(mut terminal: File, seen: &Mutex<Seen>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = terminal.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..length]);
        let mut seen = seen.lock().unwrap();
        while let Some(end) = bytes.windows(FRAME_END.len()).position(|window| window == FRAME_END) {
            let frame: Vec<u8> = bytes.drain(..end + FRAME_END.len()).collect();
            seen.screen.process(&frame);
            let frame = Frame(rows(seen.screen.screen()));
            seen.frames.push(frame);
        }
    }
    seen.lock().unwrap().screen.process(&bytes);
}

fn rows(screen: &vt100::Screen) -> Vec<String> {
    let rows: Vec<String> = screen.rows(0, 4 * WIDTH).collect();
    let used = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
    rows[..used].to_vec()
}

// === impl Frame ===

impl Frame {
    /// Returns the lines below the name of a service.
    fn lines(&self, service: &str) -> Vec<Line> {
        let below = self.0.iter().skip_while(|row| row.trim_end() != service).skip(1);
        below.take_while(|row| row.starts_with("  ") && !row.starts_with("  and ")).map(|row| Line::read(row)).collect()
    }

    /// Returns the line of one status of a service.
    fn status(&self, service: &str, status: &str) -> Option<Line> {
        self.lines(service).into_iter().find(|line| line.status == status)
    }
}

// === impl Line ===

impl Line {
    fn read(row: &str) -> Self {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [method, route, status, per_second, errors, p50, p50_unit, p99, p99_unit] = words[..] else {
            panic!("not a line of the table: {row:?}");
        };
        Self {
            method: method.into(),
            route: route.into(),
            status: status.into(),
            per_second: per_second.into(),
            errors: errors.parse().unwrap(),
            p50: duration(p50, p50_unit),
            p99: duration(p99, p99_unit),
        }
    }
}

fn duration(number: &str, unit: &str) -> Duration {
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => panic!("{unit:?} is no unit of time"),
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * seconds)
}

/// Sends requests from two clients, so that the server is busier than either; returns the number of requests that the server failed.
fn traffic(port: u16) -> u64 {
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    for (path, count) in [("/users/42", "200"), ("/missing", "60"), ("/broken", "20")] {
        client("h2load", &["--h1", "-n", count, "-c", "2", &url(path)]);
    }
    client("curl", &["-s", &url("/users/[1-50]"), &url("/missing?[1-20]"), &url("/broken?[1-10]")]);
    20 + 10
}

#[test]
fn host_run_on_a_terminal_shows_requests_until_ctrl_c_and_leaves_it_as_it_was_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = Server::nginx(false);
    let mut terminal = Terminal::new();
    File::from(terminal.program.try_clone().unwrap()).write_all(b"$ host run --probe l7\r\n").unwrap();
    let mut host = Host::run_with(&["--probe", "l7"], |command, _| terminal.of(command));
    let (first, _) = terminal.frame("a first frame", 0, |frame| frame.0.iter().any(|row| row.contains("EVENTS/S")));

    let service = format!("nginx:{}  http server", server.port);
    let errors = |frame: &Frame| frame.status(&service, "500").map_or(0, |line| line.errors);
    let failed = traffic(server.port);
    let busy = |frame: &Frame| frame.status(&service, "200").is_some_and(|line| line.per_second != "0");
    terminal.frame("a rate", first, busy);
    let (settled, frame) = terminal.frame("all that failed", first, |frame| errors(frame) == failed);
    let heading = frame.0.iter().find(|row| row.contains("METHOD")).unwrap();
    let headings: Vec<&str> = heading.split_whitespace().collect();
    assert_eq!(headings, ["METHOD", "ROUTE", "STATUS", "PER", "S", "ERRORS", "P50", "P99"]);
    let lines = frame.lines(&service);
    let told: Vec<_> = lines.iter().map(|line| (&*line.method, &*line.route, &*line.status, line.errors)).collect();
    // A missing page is not an error of the server.
    assert_eq!(told, [("GET", "/users/{id}", "200", 0), ("GET", "/*", "404", 0), ("GET", "/broken", "500", failed)]);
    for line in &lines {
        assert!(Duration::ZERO < line.p50 && line.p50 <= line.p99 && line.p99 < Duration::from_secs(1), "{line:?}");
    }

    let more = traffic(server.port);
    let (later, frame) = terminal.frame("what failed later", settled, |frame| errors(frame) == failed + more);
    assert!(later > settled, "it was drawn again");
    measured(&format!("frame {later}:\n{}", frame.0.join("\n")));

    terminal.keyboard.write_all(CTRL_C).unwrap();
    let status = host.wait();
    let modes = tcgetattr(&terminal.program).unwrap().local_modes;
    drop(host);
    let seen = terminal.close();
    let screen = seen.screen.screen();
    let left = rows(screen);
    assert!(status.success(), "{status} {left:#?}");
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && modes.contains(LocalModes::ECHO), "{modes:?} {left:#?}");
    assert!(left[0].starts_with("$ host run") && left.iter().any(|row| row.contains("produced")), "{left:#?}");
    assert!(!left.iter().any(|row| row.contains("EVENTS/S")), "nothing of the table stays: {left:#?}");
    for Frame(rows) in seen.frames.iter().chain([&Frame(left)]) {
        assert!(rows.iter().all(|row| row.trim_end().chars().count() <= usize::from(WIDTH)), "a line is too long: {rows:#?}");
    }
    assert!(seen.frames.iter().all(|Frame(rows)| rows.len() <= usize::from(HEIGHT)));
}
