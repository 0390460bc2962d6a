//! A program with known counts, and a ledger that must agree.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use host_tests::daemon::{Host, Ledger, Status};
use host_tests::load::{Cgroup, Load};
use host_tests::turn::{measured, turn_as_root};

const SOON: Duration = Duration::from_secs(30);

/// Keeps one in a hundred of the rows that neither failed nor were slow.
const SPARSE: &str = "[plugins.sampler]\ncomponent = \"sampler-ratio\"\nconfig = { ratio = 0.01, slow_ms = 0 }\n";

#[test]
fn opens_execs_and_connections_are_counted_exactly_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = static_program(folder.path());
    let config = folder.path().join("host.toml");
    fs::write(&config, SPARSE).unwrap();

    let cgroup = Cgroup::new("truth");
    let (cgroup_word, program_word) = (format!("cgroup={}", cgroup.path()), format!("program={}", program.display()));
    let work = ["opens=200000", "failing=1000", "execs=2000", "connections=5000", &cgroup_word, &program_word];
    let mut load = Load::counted(&work);
    let mut host = Host::run(&["--cgroup", cgroup.path(), "--output", "jsonl", "--config", config.to_str().unwrap()]);
    load.go();
    assert_eq!(load.line(), "done");

    let status = settled(&host);
    let (stdout, _) = host.stop();
    let file = status.ledger("file");
    nothing_was_lost(&status, "file");
    assert_eq!(file.produced, 200_000, "{file:?}");
    // Counts executed programs, and their exits.
    let exec = status.ledger("exec");
    nothing_was_lost(&status, "exec");
    assert_eq!(exec.produced, 2_000 + 2_000, "{exec:?}");
    // Both ends of every connection are in the cgroup.
    let tcp = status.ledger("tcp");
    nothing_was_lost(&status, "tcp");
    assert_eq!(tcp.produced, 5_000 + 5_000, "{tcp:?}");
    assert!(status.balanced);

    // The sampler drops nearly all rows, but none that failed.
    assert!(file.sampled_out > 190_000, "{file:?}");
    let failed = stdout.lines().filter(|line| line.contains("/nowhere/to/be/found")).count();
    assert_eq!(failed, 1_000, "every failed open is among the exported");
    assert!(stdout.lines().filter(|line| line.contains("/nowhere/to/be/found")).all(|line| line.contains("ENOENT")));
    measured(&format!("file {file:?}; exec {exec:?}; tcp {tcp:?}"));
}

#[test]
fn a_pid_filter_counts_that_process_alone_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let (mut seen, mut unseen) = (Load::counted(&["opens=20000"]), Load::counted(&["opens=20000"]));
    let host = Host::run(&["--probe", "file", "--pid", &seen.pid().to_string(), "--output", "none"]);
    seen.go();
    unseen.go();
    assert_eq!((seen.line(), unseen.line()), ("done".into(), "done".into()));
    let status = settled(&host);
    nothing_was_lost(&status, "file");
    assert_eq!(status.ledger("file").produced, 20_000);
    assert!(status.ledger("file").filtered_in_kernel >= 20_000);
}

#[test]
fn a_comm_filter_counts_commands_of_that_name_alone_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let (mut counted, mut paced) = (Load::counted(&["opens=20000"]), Load::paced(10_000, 1.0));
    let host = Host::run(&["--probe", "file", "--comm", "open-load", "--output", "none"]);
    counted.go();
    paced.go();
    assert_eq!(counted.line(), "done");
    let operations = paced.report().operations;
    let status = settled(&host);
    nothing_was_lost(&status, "file");
    assert_eq!(status.ledger("file").produced, operations);
}

#[test]
fn a_ring_that_is_too_small_loses_and_says_how_much_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let config = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    fs::write(config.path(), "[probes.file]\nring_bytes = 4096\n").unwrap();
    let mut load = Load::counted(&["opens=200000"]);
    let pid = load.pid().to_string();
    let arguments = ["--probe", "file", "--pid", &pid, "--output", "none", "--config", config.path().to_str().unwrap()];
    let host = Host::run(&arguments);
    load.go();
    assert_eq!(load.line(), "done");
    let status = settled(&host);
    let Ledger { produced, lost_in_ring, received, undecodable, .. } = status.ledger("file");
    assert!(status.balanced, "{status:#?}");
    assert_eq!(produced, 200_000);
    assert_eq!(produced, lost_in_ring + received);
    assert!(lost_in_ring > 0, "a page cannot hold what a burst brings");
    assert_eq!(undecodable, 0);
}

/// Returns the status once every produced record has reached its end.
fn settled(host: &Host) -> Status {
    host.status_when("the paths to run dry", SOON, |status| {
        let dry = |ledger: &Ledger| ledger.produced == ledger.received + ledger.lost_in_ring && ledger.in_flight == 0;
        status.balanced && status.paths.iter().all(|path| dry(&path.ledger))
    })
}

fn nothing_was_lost(status: &Status, probe: &str) {
    let ledger = status.ledger(probe);
    assert_eq!((ledger.lost_in_ring, ledger.undecodable, ledger.dropped_at_export), (0, 0, 0), "{probe}: {ledger:?}");
    assert_eq!(ledger.produced, ledger.received, "{probe}: {ledger:?}");
    assert_eq!(ledger.kept, ledger.exported, "{probe}: {ledger:?}");
}

/// Builds a program that opens no file: a dynamic one opens its libraries.
fn static_program(folder: &Path) -> std::path::PathBuf {
    let (source, program) = (folder.join("nothing.c"), folder.join("nothing"));
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let compiled = Command::new("gcc").args(["-O2", "-static", "-o"]).args([&program, &source]).status().unwrap();
    assert!(compiled.success());
    program
}
