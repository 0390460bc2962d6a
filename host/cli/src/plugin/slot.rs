//! `host plugin inspect SLOT`: describes a slot of the running host in full.

use host_api::{GetPlugins, GetShadows, GetSlots, OnFaults, PluginOnPath, ShadowStatus, Slot, SlotGeneration};
use host_daemon::from_slot_limits;
use host_model::{Fallback, Role};
use host_plugin::Limits;
use serde::Serialize;

use super::{handed_over, history, label, list};
use crate::args::{Format, InspectArgs};
use crate::ask;
use crate::exit::Done;
use crate::output::{self, ago, grouped, sheet};

/// The description of a slot, as `--format json` prints it.
#[derive(Debug, Serialize)]
struct Known {
    slot: Slot,
    /// The live plugin; None if the slot is empty and holds only earlier generations.
    live: Option<SlotGeneration>,
    /// The state of the plugin and the cost of its calls, path by path.
    paths: Vec<PluginOnPath>,
    /// Earlier generations kept for a rollback, oldest first.
    kept: Vec<SlotGeneration>,
    /// The candidate in its shadow.
    shadow: Option<ShadowStatus>,
}

/// `host plugin inspect SLOT`
pub(super) async fn inspect(args: InspectArgs, slot: Slot) -> Done {
    let client = ask::client(args.socket);
    let mut generations = ask::answer(client.call(&GetSlots)).await?;
    generations.retain(|generation| generation.slot == slot);
    if generations.is_empty() {
        return Err(history::empty(&slot));
    }
    let (live, kept): (Vec<_>, Vec<_>) = generations.into_iter().partition(|generation| generation.live);
    let mut paths = ask::answer(client.call(&GetPlugins)).await?;
    paths.retain(|entry| entry.plugin.slot == slot.to_string());
    let shadow = ask::answer(client.call(&GetShadows)).await?.into_iter().find(|shadow| shadow.slot == slot);
    let known = Known { slot, live: live.into_iter().next(), paths, kept, shadow };
    match args.format.format {
        Format::Json => output::print_json(&known),
        Format::Table => output::print(&known.table(output::now())),
    }
}

/// Formats limits, a line each, names aligned.
pub(super) fn limits(limits: &Limits) -> String {
    let named = limits.named();
    let width = named.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    named.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

// === impl Known ===

impl Known {
    fn table(&self, now: u64) -> String {
        let mut text = match &self.live {
            Some(live) => sheet(self.of_live(live, now)),
            None => sheet([("slot", format!("{}, which is empty", self.slot)), ("kept", self.earlier())]),
        };
        if !self.paths.is_empty() {
            text.push('\n');
            text.push_str(&list::paths(&self.paths));
            text.extend(self.paths.iter().map(list::trouble));
        }
        text.extend(self.shadow.iter().map(list::candidate));
        text
    }

    fn of_live(&self, live: &SlotGeneration, now: u64) -> Vec<(&'static str, String)> {
        let calls: u64 = self.paths.iter().map(|entry| entry.plugin.host_calls).sum();
        let grants = if live.grants.is_empty() { vec!["nothing but log and config".to_owned()] } else { live.grants.clone() };
        let config = serde_json::to_string(&live.config).unwrap_or_default();
        let state = handed_over(&live.handover).unwrap_or_else(|| "it had no predecessor".to_owned());
        vec![
            ("slot", self.slot.to_string()),
            ("plugin", format!("{}, generation {}", label(&live.name, &live.version), live.generation)),
            ("digest", live.digest.clone()),
            ("signer", live.signer.clone().unwrap_or_else(|| "nobody: it is not signed".to_owned())),
            ("live", format!("went live {}", ago(live.since_unix_ms, now))),
            ("state", state),
            ("health", live.health.clone()),
            ("config", config),
            ("grants", grants.join("\n")),
            ("host calls", grouped(calls)),
            ("fallback", format!("{}: {}", word(live.fallback), fallback(live.fallback, self.slot.role()))),
            ("on_faults", format!("{}: {}", live.on_faults, on_faults(live.on_faults))),
            ("limits", limits(&from_slot_limits(&live.limits))),
            ("kept", self.earlier()),
        ]
    }

    fn earlier(&self) -> String {
        if self.kept.is_empty() {
            return "no other generation".to_owned();
        }
        let line = |kept: &SlotGeneration| format!("generation {}: {}", kept.generation, label(&kept.name, &kept.version));
        self.kept.iter().rev().map(line).collect::<Vec<_>>().join("\n")
    }
}

const fn word(fallback: Fallback) -> &'static str {
    match fallback {
        Fallback::Pass => "pass",
        Fallback::Drop => "drop",
    }
}

/// Describes the fallback of a batch.
const fn fallback(fallback: Fallback, role: Role) -> &'static str {
    match (fallback, role) {
        (Fallback::Drop, _) => "the batch ends here and counts as sampled out",
        (Fallback::Pass, Role::Decoder) => "its records go on as raw events, marked",
        (Fallback::Pass, Role::Sampler) => "all rows of the batch are kept, marked",
        (Fallback::Pass, Role::Enricher) => "the batch goes on without its columns, marked",
    }
}

const fn on_faults(on_faults: OnFaults) -> &'static str {
    match on_faults {
        OnFaults::Previous => "after too many the newest healthy generation is put back",
        OnFaults::Fallback => "after too many it is left alone until another is loaded",
        OnFaults::Off => "it is tried again and again, at most every half minute",
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::shadow;
    use super::super::history::tests::generation;
    use super::*;
    use crate::status::tests::status;

    fn known() -> Known {
        let path = status().paths.remove(0);
        let sampler = path.plugins.into_iter().find(|plugin| plugin.slot == "sampler").unwrap();
        Known {
            slot: Slot::Sampler,
            live: Some(generation(2, true)),
            paths: vec![PluginOnPath { path: "file".into(), plugin: sampler }],
            kept: vec![generation(1, false)],
            shadow: Some(shadow()),
        }
    }

    #[test]
    fn all_that_is_known_of_a_slot_is_on_one_page() {
        let text = known().table(2_060_000);
        for line in [
            "plugin      sampler-rate@0.2.0, generation 2",
            "signer      nobody: it is not signed",
            "live        went live 1m00s ago",
            "state       warm: it goes on with the state of its predecessor",
            "config      {\"ratio\":0.5}",
            "grants      clock",
            "            tables:process",
            "fallback    pass: all rows of the batch are kept, marked",
            "on_faults   previous: after too many the newest healthy generation is put back",
            "kept        generation 1: sampler-rate@0.1.0",
            "  SHADOW: sampler-tail@1.0.0, sha256 abababababab, 10 % of batches, shadowing",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        for (name, value) in Limits::default().named() {
            assert!(text.lines().any(|line| line.contains(name) && line.ends_with(&value)), "{name} is not in\n{text}");
        }
        assert!(text.contains("  PATH") && text.contains("FAULTING"), "{text}");
        let wide = |line: &&str| !line.starts_with("digest") && line.chars().count() > 80;
        assert_eq!(text.lines().find(wide), None);
    }

    #[test]
    fn an_empty_slot_says_what_could_be_put_back() {
        let text = Known { live: None, paths: vec![], shadow: None, ..known() }.table(0);
        assert_eq!(text, "slot  sampler, which is empty\nkept  generation 1: sampler-rate@0.1.0\n");
    }
}
