//! Has the kernel drop everything, and then traps in every call.

conformance::guest! {
    fn tune(_: Stats) -> Option<KernelPlan> {
        if nth(2) {
            trap();
        }
        Some(KernelPlan { default_threshold: 1 << 56, rules: Vec::new(), min_duration_ns: u64::MAX })
    }

    fn decide(_: u32) -> Result<Decisions, String> {
        trap()
    }
}
