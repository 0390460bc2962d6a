//! The result of a probe on a kernel, and whether it is as expected.

use std::fmt::{self, Display, Write as _};

use host_tests::machine::Arch;
use serde_json::Value;

/// A machine's account of one probe.
pub(crate) struct Row {
    pub(crate) series: String,
    pub(crate) version: String,
    pub(crate) arch: Arch,
    pub(crate) said: Value,
}

/// The judgement of a row.
pub(crate) enum Verdict {
    /// Every event was counted, by the best hooks.
    Exact,
    /// The events were counted by lesser hooks, or this kernel cannot run the probe, for a known reason.
    Degraded(String),
    /// The row is wrong, with the reason.
    Wrong(String),
}

/// A known limitation of a series of kernels.
struct Known {
    series: &'static str,
    arch: Option<Arch>,
    probe: &'static str,
    /// One of the remaining hooks; None if it cannot run the probe.
    hook: Option<&'static str>,
}

/// One of the hooks of each probe on a kernel without limitations.
const BEST: [(&str, &str); 4] = [
    ("exec", "tp_btf/sched_process_exec"),
    ("file", "tp/syscalls/sys_enter_openat"),
    ("l7", "tp_btf/sock_send_length"),
    ("tcp", "tp_btf/inet_sock_set_state"),
];

const KNOWN: &[Known] = &[
    // Before 5.13 tracing programs have no storage in tasks and sockets.
    Known { series: "5.10", arch: None, probe: "exec", hook: Some("raw_tp/sched_process_exec") },
    Known { series: "5.10", arch: None, probe: "file", hook: Some("tp/syscalls/sys_enter_openat") },
    Known { series: "5.10", arch: None, probe: "l7", hook: Some("raw_tp/sys_exit") },
    Known { series: "5.10", arch: None, probe: "tcp", hook: Some("raw_tp/inet_sock_set_state") },
    Known { series: "6.1", arch: Some(Arch::X86_64), probe: "l7", hook: Some("fexit/inet_sendmsg") },
    // There is no fexit on arm64 before 6.4.
    Known { series: "6.1", arch: Some(Arch::Aarch64), probe: "l7", hook: Some("tp_btf/sys_exit") },
];

/// Formats all rows as a page.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Kernels\n\nWhat `make test-kernels` saw in virtual machines, under loads of known counts. Generated; do not edit.\n\n\
         `exact`: everything that happened was counted. `degraded`: so it was, but by lesser hooks than the best, or this kernel cannot\n\
         run the probe at all; and why.\n\n\
         | kernel | architecture | probe | hooks | counted | records | lost | missed by the kernel | verdict |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let verdict = match row.verdict() {
            Verdict::Exact => "exact".to_owned(),
            Verdict::Degraded(reason) => format!("degraded: {reason}"),
            Verdict::Wrong(reason) => format!("**wrong**: {reason}"),
        };
        let cells = [
            row.version.clone(),
            row.arch.name().to_owned(),
            row.probe().to_owned(),
            row.texts("hooks").join(", "),
            row.counts().map(|(what, of, counted)| format!("{counted} of {of} {what}")).collect::<Vec<_>>().join(", "),
            row.figure("records"),
            row.figure("lost"),
            row.figure("missed"),
            verdict.replace('|', "\\|"),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

// === impl Row ===

impl Row {
    pub(crate) fn probe(&self) -> &str {
        self.said["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if let Some(reason) = self.said["broken"].as_str() {
            return Verdict::Wrong(reason.to_owned());
        }
        if let Some(reason) = self.said["refused"].as_str() {
            return if self.is_known(None) { Verdict::Degraded(reason.to_owned()) } else { Verdict::Wrong(reason.to_owned()) };
        }
        if let Some(wrong) = self.miscounted() {
            return Verdict::Wrong(wrong);
        }
        let (hooks, passed_over) = (self.texts("hooks"), self.texts("passed_over"));
        if passed_over.is_empty() && hooks.iter().any(|hook| BEST.contains(&(self.probe(), hook))) {
            return Verdict::Exact;
        }
        let reason = if passed_over.is_empty() { "its best hook is not among these".into() } else { passed_over.join("; ") };
        if hooks.iter().any(|hook| self.is_known(Some(hook))) { Verdict::Degraded(reason) } else { Verdict::Wrong(reason) }
    }

    fn is_known(&self, hook: Option<&str>) -> bool {
        KNOWN.iter().any(|known| {
            let arch = known.arch.is_none_or(|arch| arch == self.arch);
            known.series == self.series && arch && known.probe == self.probe() && known.hook == hook
        })
    }

    /// Returns the counts on which the host and the load disagree.
    fn miscounted(&self) -> Option<String> {
        let number = |key: &str| self.said[key].as_u64();
        if self.said["balanced"] != true || number("undecodable") != Some(0) {
            return Some("the ledger does not balance, or records are undecodable".into());
        }
        let excused = number("lost")? + number("missed")?;
        let short: u64 = self.counts().map(|(_, of, counted)| of.abs_diff(counted)).sum();
        let over = self.counts().any(|(_, of, counted)| counted > of);
        // Events for which the kernel did not run the program are losses that the ledger counts.
        if self.counts().next().is_some() && !over && (short == 0 || short <= excused) {
            return None;
        }
        Some(format!("{short} events are neither counted nor told as lost"))
    }

    /// Returns each kind of event, its number, and the number that the host saw.
    fn counts(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let list = self.said["counts"].as_array().into_iter().flatten();
        list.filter_map(|count| Some((count[0].as_str()?, count[1].as_u64()?, count[2].as_u64()?)))
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        self.said[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn figure(&self, key: &str) -> String {
        self.said[key].as_u64().map_or_else(String::new, |figure| figure.to_string())
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.version, self.arch.name(), self.said)
    }
}
