//! `host plugin list`: the live plugin of each slot, and the cost of its calls on each path.

use std::collections::BTreeMap;

use host_api::{PluginOnPath, PluginState, PluginStatus, ShadowStatus};
use host_model::FaultKind;

use super::{brief, label};
use crate::output::{Align, columns, grouped, nanos, part_of, portion, short};
use crate::printable::clipped;
use crate::status::{first_word, per_row};

/// Formats for each slot its plugin, a line per path, and the problems there; then its candidate.
pub(super) fn table(plugins: &[PluginOnPath], shadows: &[ShadowStatus]) -> String {
    let mut slots: Vec<Vec<&PluginOnPath>> = Vec::new();
    for entry in plugins {
        let same = |group: &&mut Vec<&PluginOnPath>| group.first().is_some_and(|first| first.plugin.slot == entry.plugin.slot);
        match slots.iter_mut().find(same) {
            Some(group) => group.push(entry),
            None => slots.push(vec![entry]),
        }
    }
    let rows = paths(slots.iter().flatten().copied());
    let mut rows = rows.lines();
    let mut text = rows.next().map(|headings| format!("{headings}\n")).unwrap_or_default();
    for group in &slots {
        text.extend(group.first().copied().map(who));
        text.extend(rows.by_ref().take(group.len()).map(|row| format!("{row}\n")));
        text.extend(group.iter().copied().map(trouble));
        let of_slot = |shadow: &&ShadowStatus| group.first().is_some_and(|first| first.plugin.slot == shadow.slot.to_string());
        text.extend(shadows.iter().filter(of_slot).map(candidate));
    }
    text
}

/// Formats a line per path: the state of the plugin there, and the cost of its calls.
pub(super) fn paths<'a>(plugins: impl IntoIterator<Item = &'a PluginOnPath>) -> String {
    let headings = [
        ("  PATH", Align::Left),
        ("STATE", Align::Left),
        ("CALLS", Align::Right),
        ("ROWS", Align::Right),
        ("NS/ROW", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("MEMORY", Align::Right),
    ];
    columns(&headings, plugins.into_iter().map(row))
}

fn row(entry: &PluginOnPath) -> Vec<String> {
    let plugin = &entry.plugin;
    vec![
        format!("  {}", clipped(&entry.path, 12)),
        state(plugin.state).to_owned(),
        short(plugin.calls as f64),
        short(plugin.rows as f64),
        per_row(plugin.total_ns, plugin.rows),
        nanos(plugin.p50_ns),
        nanos(plugin.p99_ns),
        part_of(plugin.memory_bytes, plugin.memory_cap_bytes),
    ]
}

/// Returns the state of a plugin, in capitals where it needs attention.
pub(super) const fn state(state: PluginState) -> &'static str {
    match state {
        PluginState::Live => "live",
        PluginState::Faulting => "FAULTING",
        PluginState::BackingOff => "BACKING OFF",
        PluginState::Quarantined => "QUARANTINED",
        PluginState::Ended => "ended",
    }
}

fn who(entry: &PluginOnPath) -> String {
    let plugin = &entry.plugin;
    format!(
        "{}: {}, generation {}, sha256 {}\n",
        clipped(&plugin.slot, 64),
        label(&plugin.name, &plugin.version),
        plugin.generation,
        clipped(&brief(&plugin.digest), 64)
    )
}

/// Minimum work of the host on one batch, in nanoseconds, that is reported: the default deadline of a decoder's call.
const LONG_WORK: u64 = 100_000_000;

/// Returns the problems on a path, a line for each kind; empty if there are none.
pub(super) fn trouble(entry: &PluginOnPath) -> String {
    let PluginStatus { faults: by_kind, traps, recycled, lines_left_out, lookups_left_out, .. } = &entry.plugin;
    let mut parts = Vec::new();
    if !by_kind.is_empty() {
        parts.push(format!("faults: {}", faults(by_kind)));
    } else if *traps > 0 {
        parts.push(format!("faults: {}", grouped(*traps)));
    }
    if *recycled > 0 {
        parts.push(format!("{} instances replaced for their memory", grouped(*recycled)));
    }
    if *lines_left_out > 0 {
        parts.push(format!("{} log lines left out", grouped(*lines_left_out)));
    }
    if *lookups_left_out > 0 {
        parts.push(format!("{} lookups left out for want of time", grouped(*lookups_left_out)));
    }
    if entry.plugin.work_p99_ns >= LONG_WORK {
        parts.push(format!("the host works on its rows for {} a batch", nanos(entry.plugin.work_p99_ns)));
    }
    parts.iter().map(|part| format!("  {}: {part}\n", clipped(&entry.path, 12))).collect()
}

/// Formats `3 trap, 1 deadline`, and the batches that were withheld from the plugin because of them.
fn faults(by_kind: &BTreeMap<FaultKind, u64>) -> String {
    let of_kind = |(kind, count): (&FaultKind, &u64)| match kind {
        FaultKind::BackingOff => format!("{} batches passed it by while it backed off", grouped(*count)),
        FaultKind::Quarantined => format!("{} batches passed it by in quarantine", grouped(*count)),
        kind => format!("{} {kind}", grouped(*count)),
    };
    by_kind.iter().map(of_kind).collect::<Vec<_>>().join(", ")
}

/// Describes the candidate in the shadow of the live plugin.
pub(super) fn candidate(shadow: &ShadowStatus) -> String {
    format!(
        "  SHADOW: {}, sha256 {}, {} of batches, {}\n",
        label(&shadow.name, &shadow.version),
        clipped(&brief(&shadow.digest), 64),
        portion(shadow.share),
        first_word(&shadow.state.to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::shadow;
    use super::*;
    use crate::status::tests::status;

    fn plugins() -> Vec<PluginOnPath> {
        let path = status().paths.remove(0);
        path.plugins.into_iter().map(|plugin| PluginOnPath { path: path.probe.clone(), plugin }).collect()
    }

    #[test]
    fn trouble_and_a_candidate_stand_below_the_slot_they_belong_to() {
        let mut plugins = plugins();
        plugins[1].plugin.state = PluginState::Quarantined;
        plugins[1].plugin.faults = BTreeMap::from([(FaultKind::Deadline, 10), (FaultKind::Quarantined, 1_200)]);
        plugins[1].plugin.recycled = 2;
        plugins[1].plugin.lookups_left_out = 1_024;
        plugins[1].plugin.work_p99_ns = 6_000_000_000;
        let expected = "  \
  PATH  STATE        CALLS  ROWS  NS/ROW     P50      P99    MEMORY
decoder.file: decoder-file@0.1.0, generation 1, sha256 000000000000
  file  live           197  201k      10  9.8 us  21.4 us  1/64 MiB
  file: faults: 1 trap
sampler: sampler-rate@0.3.0, generation 2, sha256 000000000000
  file  QUARANTINED    197     0       -  9.8 us  21.4 us  1/64 MiB
  file: faults: 10 deadline, 1,200 batches passed it by in quarantine
  file: 2 instances replaced for their memory
  file: 1,024 lookups left out for want of time
  file: the host works on its rows for 6.00 s a batch
  SHADOW: sampler-tail@1.0.0, sha256 abababababab, 10 % of batches, shadowing
";
        assert_eq!(table(&plugins, &[shadow()]), expected);
    }

    #[test]
    fn a_plugin_without_trouble_takes_one_line() {
        let mut entry = plugins().remove(0);
        entry.plugin.faults.clear();
        entry.plugin.traps = 0;
        assert_eq!(trouble(&entry), "");
    }
}
