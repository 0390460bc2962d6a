//! `host doctor`: missing requirements of this machine, each with the cure; or the capabilities of a run and their purpose.

mod caps;
mod kernel;
mod hooks;
mod privilege;
mod reach;
mod state;

use host_daemon::config::Config;
use serde::Serialize;

use crate::args::{DoctorArgs, Format};
use crate::exit::{Code, Done, Failure};
use crate::output;
use crate::printable::printable;
use crate::style::{self, Tone};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// No problem.
    Ok,
    /// It works, but with a restriction.
    Note,
    /// A feature will not work.
    Fault,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// The name of the check.
    check: &'static str,
    verdict: Verdict,
    /// The result.
    detail: String,
    /// The cure.
    cure: Option<String>,
}

/// All findings, as `--format json` prints them.
#[derive(Debug, Serialize)]
struct Diagnosis {
    /// Whether there is no fault.
    healthy: bool,
    findings: Vec<Finding>,
}

/// `host doctor`
pub(crate) async fn doctor(args: DoctorArgs) -> Done {
    if args.caps {
        return caps::caps(&args);
    }
    let btf = args.btf.clone().or_else(|| Config::load(args.config.as_deref()?).ok()?.kernel.btf);
    let mut findings = kernel::findings(std::path::Path::new("/"), btf.as_deref());
    findings.extend(privilege::findings());
    findings.extend(hooks::findings(btf).await);
    findings.extend(reach::findings(&args).await);
    let diagnosis = Diagnosis { healthy: findings.iter().all(|finding| finding.verdict != Verdict::Fault), findings };
    match args.format.format {
        Format::Json => output::print_json(&diagnosis)?,
        Format::Table => output::print(&diagnosis.table(style::coloured(&std::io::stdout())))?,
    }
    if diagnosis.healthy { Ok(()) } else { Err(Failure::Said(Code::Failed)) }
}

// === impl Finding ===

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, detail: detail.into(), cure: None }
    }

    fn note(check: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Note, detail: detail.into(), cure: Some(cure.into()) }
    }

    fn fault(check: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fault, detail: detail.into(), cure: Some(cure.into()) }
    }
}

// === impl Diagnosis ===

impl Diagnosis {
    /// Returns a line per check, its cure below it, and a verdict at the end.
    fn table(&self, coloured: bool) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let (tone, word) = match finding.verdict {
                Verdict::Ok => (Tone::Good, "ok   "),
                Verdict::Note => (Tone::Attention, "note "),
                Verdict::Fault => (Tone::Bad, "FAULT"),
            };
            let word = style::paint(coloured, tone, word);
            text.push_str(&format!("{word}  {:<13} {}\n", finding.check, printable(&finding.detail)));
            for line in finding.cure.iter().flat_map(|cure| cure.lines()) {
                text.push_str(&format!("                     {}\n", printable(line)));
            }
        }
        let faults = self.findings.iter().filter(|finding| finding.verdict == Verdict::Fault).count();
        text.push_str(&match faults {
            0 => "\nnothing is at fault\n".to_owned(),
            1 => "\n1 fault\n".to_owned(),
            faults => format!("\n{faults} faults\n"),
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_seen_without_colour_and_its_cure_stands_below() {
        let diagnosis = Diagnosis {
            healthy: false,
            findings: vec![
                Finding::ok("kernel", "6.1.0"),
                Finding::fault("btf", "this kernel has none", "use a kernel built with CONFIG_DEBUG_INFO_BTF=y"),
            ],
        };
        assert_eq!(
            diagnosis.table(false),
            "ok     kernel        6.1.0\n\
             FAULT  btf           this kernel has none\n\
             \x20                    use a kernel built with CONFIG_DEBUG_INFO_BTF=y\n\n1 fault\n"
        );
    }
}
