//! `host doctor --caps`: the capabilities of a run, their purpose, and the lines that grant exactly these.

use host_daemon::Settings;
use host_daemon::config::Config;
use host_daemon::privilege::{self, Need};
use host_kernel::capabilities::{Capability, CapabilitySet};
use serde::Serialize;

use crate::args::{DoctorArgs, Format};
use crate::exit::Done;
use crate::output;
use crate::printable::printable;
use crate::style::{self, Tone};

/// The capabilities of a run, as `--format json` prints them.
#[derive(Debug, Serialize)]
struct Caps {
    /// The start fails without any one of these.
    required: Vec<Taken>,
    /// The run does without the feature that one of these is for.
    optional: Vec<Taken>,
    /// The lines that grant the required ones, and no others.
    grant: Grant,
}

/// A capability and all its purposes.
#[derive(Debug, Serialize)]
struct Taken {
    capability: &'static str,
    /// Whether this process has it.
    held: bool,
    /// Whether it is still needed once every probe is attached.
    lasting: bool,
    reasons: Vec<String>,
}

/// Lines to paste, one form per launcher.
#[derive(Debug, Serialize)]
struct Grant {
    systemd: [String; 2],
    setpriv: String,
    capsh: String,
    container: String,
    kubernetes: String,
}

/// `host doctor --caps`
pub(super) fn caps(args: &DoctorArgs) -> Done {
    let config = args.config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    let settings = Settings { config, probes: args.probes.clone(), ..Settings::default() };
    let caps = Caps::of(&privilege::needs(&settings)?, CapabilitySet::held());
    match args.format.format {
        Format::Json => output::print_json(&caps),
        Format::Table => output::print(&caps.table(style::coloured(&std::io::stdout()))),
    }
}

// === impl Caps ===

impl Caps {
    fn of(needs: &[Need], held: CapabilitySet) -> Self {
        let taken = |capability: &Capability, required: bool| {
            let of_it: Vec<&Need> =
                needs.iter().filter(|need| need.capability == *capability && need.required == required).collect();
            (!of_it.is_empty()).then(|| Taken {
                capability: capability.name(),
                held: held.allows(*capability),
                lasting: of_it.iter().any(|need| need.lasting),
                reasons: reasons(&of_it),
            })
        };
        let of = |required: bool| Capability::ALL.iter().filter_map(|capability| taken(capability, required)).collect();
        let required: Vec<Taken> = of(true);
        let grant = Grant::of(&required.iter().map(|taken| taken.capability).collect::<Vec<_>>());
        Self { required, optional: of(false), grant }
    }

    fn table(&self, coloured: bool) -> String {
        let mut text = String::new();
        let sections = [
            ("required: without one of these the start fails", &self.required),
            ("optional: without it the host sees less, or pays more to see it", &self.optional),
        ];
        for (heading, of_section) in sections.into_iter().filter(|(_, of_section)| !of_section.is_empty()) {
            text.push_str(&format!("{heading}\n"));
            for Taken { capability, held, lasting, reasons } in of_section {
                let (tone, word) = if *held { (Tone::Good, "held   ") } else { (Tone::Attention, "missing") };
                let when = if *lasting { "" } else { " (at the start only)" };
                text.push_str(&format!("  {}  {capability}{when}\n", style::paint(coloured, tone, word)));
                for reason in reasons {
                    text.push_str(&format!("           {}\n", printable(reason)));
                }
            }
            text.push('\n');
        }
        let Grant { systemd: [bounding, ambient], setpriv, capsh, container, kubernetes } = &self.grant;
        text.push_str(&format!(
            "to grant what is required, and nothing else\n  systemd     {bounding}\n              {ambient}\n  setpriv     {setpriv}\n  \
             capsh       {capsh}\n  container   {container}\n  kubernetes  {kubernetes}\n"
        ));
        text
    }
}

/// Returns the purposes of a capability; users with the same purpose share a line.
fn reasons(needs: &[&Need]) -> Vec<String> {
    let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
    for need in needs {
        match lines.iter_mut().find(|(why, _)| *why == need.why) {
            Some((_, who)) => who.push(&need.who),
            None => lines.push((&need.why, vec![&need.who])),
        }
    }
    lines.into_iter().map(|(why, who)| format!("{}: {why}", who.join(", "))).collect()
}

// === impl Grant ===

impl Grant {
    fn of(capabilities: &[&str]) -> Self {
        let short: Vec<&str> = capabilities.iter().map(|name| name.trim_start_matches("CAP_")).collect();
        let small: Vec<String> = short.iter().map(|name| name.to_lowercase()).collect();
        let listed =
            |before: &str, between: &str| small.iter().map(|name| format!("{between}{before}{name}")).collect::<String>();
        let (plus, capsh) = (listed("+", ","), listed("cap_", ","));
        let capsh = capsh.trim_start_matches(',');
        let added: Vec<String> = short.iter().map(|name| format!("--cap-add {name}")).collect();
        Self {
            systemd: [
                format!("CapabilityBoundingSet={}", capabilities.join(" ")),
                format!("AmbientCapabilities={}", capabilities.join(" ")),
            ],
            setpriv: format!(
                "setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs --bounding-set -all{plus} \
                 --inh-caps -all{plus} --ambient-caps -all{plus} host run"
            ),
            capsh: format!("capsh --keep=1 --user=nobody --inh={capsh} --addamb={capsh} -- -c 'exec host run'"),
            container: format!("--cap-drop ALL {} --pid host", added.join(" ")),
            kubernetes: format!("capabilities: {{ drop: [ALL], add: [{}] }}", short.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_the_same_shares_a_line_and_the_lines_to_paste_have_what_is_required() {
        let need = |capability, who: &str, required| Need {
            capability,
            required,
            lasting: required,
            who: who.into(),
            why: "this".into(),
        };
        let needs = [
            need(Capability::Bpf, "exec", true),
            need(Capability::Bpf, "tcp", true),
            need(Capability::SysPtrace, "exec", false),
        ];
        let caps = Caps::of(&needs, [Capability::Bpf].into_iter().collect());
        let table = caps.table(false);
        let expected = "required: without one of these the start fails\n  held     CAP_BPF\n           exec, tcp: this\n\n\
                        optional: without it the host sees less, or pays more to see it\n  missing  CAP_SYS_PTRACE (at the start only)\n           \
                        exec: this\n\n";
        assert!(table.starts_with(expected), "{table}");
        assert!(table.contains("AmbientCapabilities=CAP_BPF\n") && table.contains("--cap-drop ALL --cap-add BPF --pid host"));
        assert!(table.contains("--ambient-caps -all,+bpf host run"), "{table}");
    }
}
