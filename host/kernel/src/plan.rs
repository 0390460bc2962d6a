//! Applies a kernel plan: writes it where `bpf/include/filter.h` reads it.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use host_model::{KernelPlan, NEVER, PlanError, Subject, Threshold};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::filter::{COMM, padded};
use crate::maps::is_denied;
use crate::privileged;
use crate::ring::Pages;

/// The section that holds `struct filter_plans`.
pub(crate) const SECTION: &str = ".data.plan";
/// Size of the section: two words, then two plans.
pub(crate) const SIZE: usize = HEAD + 2 * PLAN;
/// The map of rules.
pub(crate) const RULES: &str = "filter_rules";

const HEAD: usize = 8;
const PLAN: usize = 32;
/// `struct filter_rule_key`.
type Key = [u8; 8 + COMM];

/// The plan in effect. A new one is written beside it and put into effect by one store.
#[derive(Debug)]
pub(crate) struct Plan {
    pages: Pages,
    rules: Arc<MapHandle>,
    slot: u32,
    written: Vec<Key>,
    /// Whether records carry their sampling probability; if not, a plan must keep or drop all events that it names.
    in_part: bool,
}

// === impl Plan ===

impl Plan {
    pub(crate) fn open(fd: BorrowedFd<'_>, rules: MapHandle, in_part: bool) -> io::Result<Self> {
        Ok(Self { pages: Pages::map(fd, 0, SIZE, true)?, rules: Arc::new(rules), slot: 0, written: Vec::new(), in_part })
    }

    pub(crate) fn apply(&mut self, probe: &str, plan: &KernelPlan) -> Result<(), PlanError> {
        if !self.in_part && !is_whole(plan) {
            let reason = "its records do not say how likely they were to come through, so whom a plan names is kept or dropped as a \
                          whole (threshold 0 or 2^56, no least duration)";
            return Err(PlanError::Unsupported { probe: probe.into(), reason: reason.into() });
        }
        let slot = 1 - self.slot;
        let mut written = Vec::with_capacity(plan.rules.len());
        let mut counts = [0_u32; 3];
        for rule in &plan.rules {
            let (subject, key) = key(slot, &rule.subject);
            if let Some(count) = counts.get_mut(subject as usize) {
                *count += 1;
            }
            let threshold = rule.threshold.get().to_ne_bytes();
            if let Err(error) = self.ask(move |rules| rules.update(&key, &threshold, MapFlags::ANY)) {
                self.forget(&written);
                return Err(PlanError::Kernel { probe: probe.into(), reason: format!("{error:#}") });
            }
            written.push(key);
        }
        let [pids, cgroups, comms] = counts.map(u64::from);
        let at = HEAD + slot as usize * PLAN;
        let words = [plan.default_threshold.get(), plan.min_duration_ns, pids | cgroups << 32, comms];
        for (index, word) in words.into_iter().enumerate() {
            self.pages.word(at + index * 8).store(word, Ordering::Relaxed);
        }
        let active = plan.default_threshold != Threshold::ALWAYS || plan.min_duration_ns > 0 || !plan.rules.is_empty();
        self.pages.word(0).store(u64::from(active) | u64::from(slot) << 32, Ordering::Release);
        self.slot = slot;
        let before = std::mem::replace(&mut self.written, written);
        self.forget(&before);
        Ok(())
    }

    fn forget(&self, keys: &[Key]) {
        for key in keys {
            // A rule that was named twice has been deleted already.
            let key = *key;
            let _ = self.ask(move |rules| rules.delete(&key));
        }
    }

    fn ask(&self, work: impl Fn(&MapHandle) -> libbpf_rs::Result<()> + Send + 'static) -> libbpf_rs::Result<()> {
        let rules = Arc::clone(&self.rules);
        privileged::ask(is_denied, move || work(&rules))
    }
}

/// Whether the plan keeps or drops all events that it names.
fn is_whole(plan: &KernelPlan) -> bool {
    let mut thresholds = plan.rules.iter().map(|rule| rule.threshold).chain([plan.default_threshold]);
    plan.min_duration_ns == 0 && thresholds.all(|threshold| [Threshold::ALWAYS, NEVER].contains(&threshold))
}

fn key(slot: u32, subject: &Subject) -> (u32, Key) {
    let mut value = [0; COMM];
    let subject = match subject {
        Subject::Pid(pid) => {
            value = (u128::from(*pid)).to_le_bytes();
            0
        }
        Subject::Cgroup(id) => {
            value = (u128::from(*id)).to_le_bytes();
            1
        }
        Subject::Comm(name) => {
            value = padded(name).unwrap_or(value);
            2
        }
    };
    let mut key = [0; 8 + COMM];
    let parts = slot.to_ne_bytes().into_iter().chain(u32::to_ne_bytes(subject)).chain(value);
    for (byte, part) in key.iter_mut().zip(parts) {
        *byte = part;
    }
    (subject, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_laid_out_as_the_header_says() {
        let (subject, bytes) = key(1, &Subject::Cgroup(0x0102));
        assert_eq!((subject, &bytes[..10]), (1, [1, 0, 0, 0, 1, 0, 0, 0, 2, 1].as_slice()));
        let (subject, bytes) = key(0, &Subject::Comm("cat".into()));
        assert_eq!((subject, &bytes[8..12]), (2, b"cat\0".as_slice()));
    }
}
