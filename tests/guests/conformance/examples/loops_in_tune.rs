//! `tune` never returns.

conformance::guest! {
    fn tune(_: Stats) -> Option<KernelPlan> {
        forever()
    }
}
