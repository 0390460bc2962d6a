//! Wants a rule in the kernel for 100,000 processes.

conformance::guest! {
    fn tune(_: Stats) -> Option<KernelPlan> {
        let rule = |pid| Rule { subject: Subject::Pid(pid), threshold: 0 };
        Some(KernelPlan { default_threshold: 0, rules: (0..100_000).map(rule).collect(), min_duration_ns: 0 })
    }
}
