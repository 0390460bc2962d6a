//! Loading a probe in a test and reading its records.

use std::io::Write;
use std::thread::JoinHandle;
use std::time::Duration;

use host_kernel::{LoadOptions, LoadedProbe, catalog};
use host_model::{Filter, KernelCounters, Layout, MemberKind, Source};

/// A running probe.
pub(crate) struct Probe {
    pub(crate) loaded: LoadedProbe,
    pub(crate) source: Box<dyn Source>,
}

/// One record, read by its layout.
pub(crate) struct Record {
    pub(crate) bytes: Vec<u8>,
    pub(crate) layout: Layout,
}

/// Ends a test that needs root and has none, and reports the skip past the harness's capture: it proves nothing.
macro_rules! needs_root {
    () => {
        if !crate::reading::is_root() {
            return;
        }
    };
}

pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    if !root {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        // Not eprintln!, which the harness captures.
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: it loads BPF programs, which takes root");
    }
    root
}

/// Whether this kernel skips a program if another task on the same CPU was preempted in it, and counts that: since Linux 7.0 tasks can be
/// preempted in a tracepoint.
pub(crate) fn passes_over() -> bool {
    host_kernel::release::running().unwrap() >= (7, 0)
}

pub(crate) fn by_comm(comm: &str) -> LoadOptions {
    LoadOptions { filter: Filter { comm: Some(comm.into()), ..Filter::default() }, exclude_pid: None, ..LoadOptions::default() }
}

pub(crate) fn start(name: &str, options: &LoadOptions) -> Probe {
    let probe = catalog::find(name).unwrap();
    let mut loaded = host_kernel::load(name, probe.object, options).unwrap();
    loaded.attach().unwrap();
    let source = loaded.source().unwrap();
    Probe { loaded, source }
}

/// Runs `work` on a thread of this name and returns its result.
pub(crate) fn on_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    on_named_thread(name, work).join().unwrap()
}

/// Runs `work` on a thread of this name.
pub(crate) fn on_named_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    assert!(name.len() < 16);
    std::thread::Builder::new().name(name.into()).spawn(work).unwrap()
}

// === impl Probe ===

impl Probe {
    /// Returns everything that is in the ring now.
    pub(crate) fn drain(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            let run = self.source.run(1024, 256 * 1024);
            if run.records == 0 {
                return records;
            }
            let before = records.len();
            records.extend(run.iter().map(|bytes| Record { bytes: bytes.to_vec(), layout: self.loaded.layout().clone() }));
            assert_eq!(records.len() - before, run.records as usize);
            self.source.release();
        }
    }

    /// Waits until this many records are there (or ten seconds have passed), then takes all.
    pub(crate) fn drain_at_least(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        for _ in 0..100 {
            records.extend(self.drain());
            if records.len() >= count {
                break;
            }
            self.source.wait(1, Duration::from_millis(100));
        }
        records
    }

    /// Returns all counters, after checking that every record is accounted for.
    pub(crate) fn counters(&mut self, received: usize) -> KernelCounters {
        let counters = self.source.counters();
        assert_eq!(counters.produced, counters.lost + received as u64 + self.source.waiting_records(), "{counters:?}");
        counters
    }
}

// === impl Record ===

impl Record {
    pub(crate) fn number(&self, name: &str) -> i64 {
        let member = self.layout.members.iter().find(|member| member.name == name).unwrap();
        let bytes = &self.bytes[member.offset as usize..][..member.size as usize];
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let value = i64::from_le_bytes(wide);
        let shift = 64 - 8 * member.size;
        if member.kind == MemberKind::Signed { value << shift >> shift } else { value }
    }

    pub(crate) fn text(&self, name: &str) -> String {
        let bytes = self.bytes(name);
        String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap()).into_owned()
    }

    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        let member = self.layout.members.iter().find(|member| member.name == name).unwrap();
        let rest = &self.bytes[member.offset as usize..];
        if member.size == 0 { rest } else { &rest[..member.size as usize] }
    }
}
