//! The budget: adapts the ratio to the load, so that about the requested number of rows is kept per second.

use plugin_sdk::{KernelPlan, State, Stats, threshold};

/// Version of the state that is handed over.
pub(crate) const STATE_VERSION: u32 = 1;
/// Rate that the kernel lets through, in budgets: enough for this sampler to choose from.
const HEADROOM: f64 = 8.0;
/// Minimum ratio from which it rises: it at most doubles per call when the load falls.
const LEAST_STEP: f64 = 0.001;
/// Share by which a kernel plan's ratio may be off before the plan is replaced.
const TOLERANCE: f64 = 0.2;

/// A controller; called about once a second.
#[derive(Debug)]
pub(crate) struct Budget {
    rows_per_second: f64,
    most: f64,
    kernel: bool,
    ratio: f64,
    kernel_ratio: f64,
    /// Number of rows since the last call that are subject to the ratio, and of those that are kept regardless of it.
    subject: u64,
    spared: u64,
}

impl Budget {
    /// Returns a budget of rows per second, for a ratio of at most `most`.
    pub(crate) const fn new(rows_per_second: u64, most: f64, kernel: bool) -> Self {
        let rows_per_second = rows_per_second as f64;
        Self { rows_per_second, most, kernel, ratio: most, kernel_ratio: 1.0, subject: 0, spared: 0 }
    }

    /// Returns the current ratio.
    pub(crate) const fn ratio(&self) -> f64 {
        self.ratio
    }

    /// Counts a batch of decisions, one per row or one for all.
    pub(crate) fn count(&mut self, rows: usize, thresholds: &[u64], subject_to: u64) {
        let spared = match thresholds.len() == rows && subject_to != 0 {
            true => thresholds.iter().filter(|threshold| **threshold == 0).count(),
            false => 0,
        };
        self.spared += spared as u64;
        self.subject += (rows - spared) as u64;
    }

    /// Adapts to the load: down at once, up by doubling. Returns a plan if the kernel is to change its behaviour.
    pub(crate) fn tune(&mut self, stats: &Stats) -> Option<KernelPlan> {
        let seconds = stats.elapsed_ns as f64 / 1e9;
        let (subject, spared) = (std::mem::take(&mut self.subject) as f64, std::mem::take(&mut self.spared) as f64);
        if seconds <= 0.0 {
            return None;
        }
        let room = (self.rows_per_second * seconds - spared).max(0.0);
        let target = if subject > 0.0 { room / subject } else { 1.0 };
        self.ratio = target.min((self.ratio * 2.0).max(LEAST_STEP)).min(self.most);
        self.plan((stats.produced + stats.filtered_in_kernel) as f64 / seconds)
    }

    /// Returns the state for a successor: the ratio. The kernel plan is not handed over: it ends with its sampler.
    pub(crate) fn state(&self) -> State {
        State { version: STATE_VERSION, bytes: self.ratio.to_le_bytes().to_vec() }
    }

    /// Continues from a predecessor's ratio. An empty state is that of one without a budget.
    ///
    /// # Errors
    /// The state is of another version, or is invalid.
    pub(crate) fn resume(&mut self, state: &State) -> Result<(), String> {
        if state.version != STATE_VERSION {
            return Err(format!("state of version {}; this plugin knows version {STATE_VERSION}", state.version));
        }
        if state.bytes.is_empty() {
            return Ok(());
        }
        let bytes = state.bytes.as_slice().try_into().map_err(|_| "the state is not a ratio")?;
        let ratio = f64::from_le_bytes(bytes);
        if !(0.0..=1.0).contains(&ratio) {
            return Err("the state is not a ratio".into());
        }
        self.ratio = ratio.min(self.most);
        Ok(())
    }

    fn plan(&mut self, events_per_second: f64) -> Option<KernelPlan> {
        let wanted = if self.kernel && events_per_second > 0.0 {
            (self.rows_per_second * HEADROOM / events_per_second).min(1.0)
        } else {
            1.0
        };
        let off = (wanted - self.kernel_ratio).abs() > self.kernel_ratio * TOLERANCE;
        if !off && (wanted < 1.0 || self.kernel_ratio == 1.0) {
            return None;
        }
        self.kernel_ratio = wanted;
        Some(KernelPlan { default_threshold: threshold(wanted), rules: Vec::new(), min_duration_ns: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, STATE_VERSION};
    use plugin_sdk::{KernelPlan, State, Stats};

    /// Simulates a second under this load: rows subject to the ratio, rows spared, events in the kernel.
    fn second(budget: &mut Budget, subject: usize, spared: usize) -> Option<KernelPlan> {
        let mut thresholds = vec![7; subject];
        thresholds.resize(subject + spared, 0);
        budget.count(subject + spared, &thresholds, 7);
        let produced = (subject + spared) as u64;
        budget.tune(&Stats {
            elapsed_ns: 1_000_000_000,
            produced,
            lost_in_ring: 0,
            filtered_in_kernel: 0,
            rows: produced,
            kept: 0,
            queue_bytes: 0,
            queue_cap_bytes: 0,
        })
    }

    #[test]
    fn the_ratio_falls_at_once_and_rises_by_doubling() {
        let mut budget = Budget::new(1000, 1.0, false);
        second(&mut budget, 100_000, 0);
        assert_eq!(budget.ratio(), 0.01);
        second(&mut budget, 1000, 0);
        assert_eq!(budget.ratio(), 0.02);
        (0..7).for_each(|_| drop(second(&mut budget, 1000, 0)));
        assert_eq!(budget.ratio(), 1.0);
    }

    #[test]
    fn rows_that_are_kept_anyway_are_paid_from_the_budget() {
        let mut budget = Budget::new(1000, 1.0, false);
        second(&mut budget, 1000, 600);
        assert_eq!(budget.ratio(), 0.4);
        second(&mut budget, 1000, 5000);
        assert_eq!(budget.ratio(), 0.0);
        second(&mut budget, 1000, 0);
        assert!(budget.ratio() > 0.0, "it must find back");
    }

    #[test]
    fn the_kernel_is_asked_only_when_it_matters_and_released_afterwards() {
        let mut budget = Budget::new(1000, 1.0, true);
        assert_eq!(second(&mut budget, 5000, 0), None);
        let plan = second(&mut budget, 80_000, 0).unwrap();
        assert_eq!(plan.default_threshold, plugin_sdk::threshold(0.1));
        assert_eq!(second(&mut budget, 85_000, 0), None, "within the tolerance");
        assert_eq!(second(&mut budget, 2000, 0).unwrap().default_threshold, 0);
        assert_eq!(second(&mut budget, 2000, 0), None);
    }

    #[test]
    fn a_successor_goes_on_with_the_ratio_and_refuses_what_it_does_not_know() {
        let mut old = Budget::new(1000, 1.0, false);
        second(&mut old, 10_000, 0);
        let mut new = Budget::new(500, 1.0, false);
        new.resume(&old.state()).unwrap();
        assert_eq!(new.ratio(), 0.1);
        let state = |version, bytes| State { version, bytes };
        assert!(new.resume(&state(2, Vec::new())).unwrap_err().contains("version 2"));
        assert!(new.resume(&state(STATE_VERSION, vec![0xff; 8])).is_err());
        assert!(new.resume(&state(STATE_VERSION, vec![0; 9])).is_err());
    }
}
