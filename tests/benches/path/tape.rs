//! A ring that is never empty until it ends: the same runs of records repeated, framed like in the kernel.

use std::sync::Arc;
use std::time::Duration;

use host_model::{KernelCounters, KernelPlan, PlanError, Run, Source, Waker};
use plugin_sdk::testing::Draft;

/// Opens of a server; one file in a hundred does not exist.
pub(crate) fn records(layout: &plugin_sdk::RecordLayout, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in 0..count as i128 {
        let path = format!("/srv/www/site-{:02}/assets/{:05}.html\0", index % 17, index * 7919 % 100_000);
        let record = Draft::new(layout.clone())
            .put("time_ns", 1_000_000 + index * 1000)
            .put("duration_ns", 800 + index * 37 % 4000)
            .put("cgroup_id", 4242)
            .put("pid", 1000 + index % 4)
            .put("tid", 1000 + index % 16)
            .put("uid", 33)
            .put("ret", if index % 100 == 99 { -2 } else { 7 })
            .bytes("comm", b"nginx")
            .bytes("path", path.as_bytes())
            .finish();
        Run::push(&mut bytes, &record);
    }
    bytes
}

/// The tape as a source: `laps` times all of its records.
pub(crate) struct Tape {
    bytes: &'static [u8],
    at: usize,
    /// End of the run that was handed out last, and its number of records.
    end: usize,
    records: u64,
    laps: usize,
    produced: u64,
}

struct NobodyWaits;

// === impl Tape ===

impl Tape {
    pub(crate) const fn new(bytes: &'static [u8], laps: usize) -> Self {
        Self { bytes, at: 0, end: 0, records: 0, laps, produced: 0 }
    }
}

impl Source for Tape {
    fn wait(&mut self, _: usize, _: Duration) {}

    fn waiting_bytes(&self) -> usize {
        if self.laps == 0 { 0 } else { usize::MAX / 2 }
    }

    fn run(&mut self, max_records: usize, max_bytes: usize) -> Run<'_> {
        if self.laps == 0 {
            return Run::default();
        }
        let (mut end, mut records) = (self.at, 0);
        while end < self.bytes.len() && records < max_records {
            let header = u32::from_le_bytes(*self.bytes[end..].first_chunk().unwrap());
            let next = end + host_model::run::slot_len(header);
            if records > 0 && next - self.at > max_bytes {
                break;
            }
            (end, records) = (next, records + 1);
        }
        (self.end, self.records) = (end, records as u64);
        Run { bytes: &self.bytes[self.at..end], records: u32::try_from(records).unwrap() }
    }

    fn release(&mut self) {
        self.produced += std::mem::take(&mut self.records);
        self.at = if self.end == self.bytes.len() { 0 } else { self.end };
        if self.at == 0 {
            self.laps -= 1;
        }
    }

    fn waiting_records(&mut self) -> u64 {
        0
    }

    fn counters(&mut self) -> KernelCounters {
        KernelCounters { produced: self.produced, ..KernelCounters::default() }
    }

    fn apply(&mut self, _: &KernelPlan) -> Result<(), PlanError> {
        Ok(())
    }

    fn ended(&self) -> bool {
        self.laps == 0
    }

    fn waker(&self) -> Arc<dyn Waker> {
        Arc::new(NobodyWaits)
    }

    fn unix_offset_ns(&self) -> u64 {
        1_700_000_000_000_000_000
    }
}

impl Waker for NobodyWaits {
    fn wake(&self) {}
}
