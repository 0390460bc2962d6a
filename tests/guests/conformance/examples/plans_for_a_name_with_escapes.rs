//! Wants a rule for a command whose name would move the cursor, and is longer than any.

conformance::guest! {
    fn tune(_: Stats) -> Option<KernelPlan> {
        let rule = Rule { subject: Subject::Comm("\x1b[2Jmake and then some".into()), threshold: 0 };
        Some(KernelPlan { default_threshold: 0, rules: vec![rule], min_duration_ns: 0 })
    }
}
