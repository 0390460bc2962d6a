//! Opens: every one, with its path, flags, error and latency.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;

use host_kernel::{LoadOptions, catalog};
use host_model::Filter;

use crate::reading::{Probe, by_comm, on_named_thread, on_thread, start};

const OPENS: usize = 20_000;
const FAILING: usize = 100;

#[test]
fn every_open_makes_one_record_and_every_failure_is_among_them_needs_root() {
    needs_root!();
    let probe = start("file", &by_comm("load-every-open"));
    assert!(probe.loaded.passed_over().is_empty());
    every_open("load-every-open", probe);
}

#[test]
fn without_storage_in_tasks_every_open_makes_one_record_as_well_needs_root() {
    needs_root!();
    let probe = start("file", &LoadOptions { plain: true, ..by_comm("load-plain-open") });
    assert!(probe.loaded.passed_over()[0].starts_with("tp/syscalls/sys_enter_openat: its programs take storage in tasks"));
    every_open("load-plain-open", probe);
}

fn every_open(thread: &'static str, mut probe: Probe) {
    assert!(probe.loaded.hooks().iter().all(|hook| hook.starts_with("tp/syscalls/")), "{:?}", probe.loaded.hooks());
    let mut records = Vec::new();
    // In portions, so that the ring has room for each.
    for _ in 0..10 {
        on_thread(thread, || {
            for index in 0..OPENS / 10 {
                let fails = index % (OPENS / FAILING) == 0;
                let opened = File::open(if fails { "/no/such/file" } else { "/proc/version" });
                assert_eq!(opened.is_err(), fails);
            }
        });
        records.extend(probe.drain());
    }
    let counters = probe.counters(records.len());
    assert_eq!((counters.produced, counters.lost, counters.missed), (OPENS as u64, 0, 0));
    assert_eq!(records.len(), OPENS);
    let failed: Vec<_> = records.iter().filter(|record| record.number("ret") < 0).collect();
    assert_eq!(failed.len(), FAILING);
    assert!(failed.iter().all(|record| record.number("ret") == -2 && record.text("path") == "/no/such/file"));
    let opened: Vec<_> = records.iter().filter(|record| record.number("ret") >= 0).collect();
    assert!(opened.iter().all(|record| record.text("path") == "/proc/version"));
    assert!(records.iter().all(|record| record.number("duration_ns") > 0 && record.text("comm") == thread));
    assert!(records.iter().all(|record| record.number("pid") == i64::from(std::process::id())));
    assert!(counters.filtered > 0, "other threads open files, too");
}

#[test]
fn a_record_has_only_the_bytes_of_its_path_and_the_flags_as_given_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-bytes"));
    let directory = std::env::temp_dir().join(format!("host-kernel-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let short = directory.join("s");
    let long = directory.join("l".repeat(250)).join("m".repeat(250));
    let (ours, theirs): (PathBuf, PathBuf) = (short.clone(), long.clone());
    on_thread("load-bytes", move || {
        OpenOptions::new().write(true).create(true).truncate(true).open(&ours).unwrap();
        assert!(File::open(&theirs).is_err());
    });
    let records = probe.drain();
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(records.len(), 2);
    let fixed = probe.loaded.layout().size as usize;
    let path = short.to_str().unwrap();
    assert_eq!(records[0].text("path"), path);
    assert_eq!(records[0].bytes.len(), fixed + path.len() + 1);
    let (wronly, creat, trunc) = (1, 0o100, 0o1000);
    assert_eq!(records[0].number("flags") & (wronly | creat | trunc), wronly | creat | trunc);
    assert_eq!(records[0].number("mode"), 0o666);
    assert_eq!(records[1].bytes.len(), fixed + 256, "a long path is cut");
    assert_eq!(records[1].text("path"), long.to_str().unwrap()[..255]);
}

#[test]
fn the_excluded_process_makes_no_records_needs_root() {
    needs_root!();
    let options = LoadOptions { exclude_pid: Some(std::process::id()), ..by_comm("load-excluded") };
    let mut probe = start("file", &options);
    on_thread("load-excluded", || File::open("/proc/version").unwrap());
    assert!(probe.drain().is_empty());
}

#[test]
fn a_pid_filter_lets_only_that_process_through_needs_root() {
    needs_root!();
    let options = LoadOptions {
        filter: Filter { pid: Some(std::process::id()), ..Filter::default() },
        exclude_pid: None,
        ..LoadOptions::default()
    };
    let mut probe = start("file", &options);
    assert!(std::process::Command::new("cat").arg("/proc/version").output().unwrap().status.success());
    on_thread("load-by-pid", || File::open("/proc/self/comm").unwrap());
    let records = probe.drain();
    assert!(records.iter().all(|record| record.number("pid") == i64::from(std::process::id())));
    assert_eq!(records.iter().filter(|record| record.text("comm") == "load-by-pid").count(), 1);
}

#[test]
fn where_the_tracepoints_are_missing_all_system_calls_are_watched_with_the_same_result_needs_root() {
    needs_root!();
    let mut object = catalog::find("file").unwrap().object.to_vec();
    let hook = b"sys_enter_openat\0";
    // All places that name the section: in the ELF file, and in its BTF.
    let named: Vec<usize> = (0..object.len() - hook.len()).filter(|&at| object[at..].starts_with(hook)).collect();
    named.into_iter().for_each(|at| object[at] = b'x');
    for plain in [false, true] {
        let options = LoadOptions { plain, ..by_comm("load-fallback") };
        let mut loaded = host_kernel::load("file", &object, &options).unwrap();
        loaded.attach().unwrap();
        assert_eq!(loaded.hooks(), ["raw_tp/sys_enter", "raw_tp/sys_exit"]);
        let source = loaded.source().unwrap();
        let mut probe = Probe { loaded, source };
        on_thread("load-fallback", || {
            for _ in 0..1_000 {
                drop(OpenOptions::new().write(true).open("/dev/null").unwrap());
                assert!(File::open("/no/such/file").is_err());
            }
        });
        let records = probe.drain();
        assert_eq!((records.len(), probe.counters(2_000).lost), (2_000, 0));
        let (opened, failed): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.number("ret") >= 0);
        assert!(opened.len() == 1_000 && opened.iter().all(|it| it.text("path") == "/dev/null" && it.number("flags") & 3 == 1));
        assert!(failed.len() == 1_000 && failed.iter().all(|it| it.text("path") == "/no/such/file" && it.number("ret") == -2));
    }
}

#[test]
fn more_calls_at_once_than_there_is_memory_for_are_counted_needs_root() {
    needs_root!();
    let max_entries = vec![("plain_calls".into(), 4)];
    let mut probe = start("file", &LoadOptions { plain: true, max_entries, ..by_comm("load-untracked") });
    let folder = std::env::temp_dir().join(format!("host-kernel-pipes-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let pipes: Vec<_> = (0..8).map(|number| folder.join(number.to_string())).collect();
    for pipe in &pipes {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    // Each program blocks in its open until the pipe has a reader.
    let open =
        |pipe: PathBuf| on_named_thread("load-untracked", move || drop(OpenOptions::new().write(true).open(pipe).unwrap()));
    let writers: Vec<_> = pipes.iter().cloned().map(open).collect();
    while probe.counters(0).missed < 4 {
        std::thread::yield_now();
    }
    pipes.iter().for_each(|pipe| drop(File::open(pipe).unwrap()));
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let records = probe.drain_at_least(4);
    fs::remove_dir_all(&folder).unwrap();
    // The C library may once open a file of its own.
    let told = records.len() + usize::try_from(probe.counters(records.len()).missed).unwrap();
    assert!(records.len() >= 4 && (told == 8 || told == 9), "{told} of 8, {} records", records.len());
}
