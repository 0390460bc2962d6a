//! `host plugin list`: slot by slot who is live, and path by path what its calls cost.

use host_daemon::status::{PluginOnPath, PluginState};

use crate::output::{Align, bytes, columns, nanos, short};
use crate::printable::clipped;
use crate::status::per_row;

/// Hexadecimal digits of a digest that tell plugins apart.
const DIGEST: usize = 12;

/// For each slot who is in it, then a line per path.
pub(super) fn table(plugins: &[PluginOnPath]) -> String {
    let headings = [
        ("  PATH", Align::Left),
        ("STATE", Align::Left),
        ("CALLS", Align::Right),
        ("ROWS", Align::Right),
        ("NS/ROW", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("MEMORY", Align::Right),
        ("TRAPS", Align::Right),
    ];
    let mut slots: Vec<Vec<&PluginOnPath>> = Vec::new();
    for entry in plugins {
        let same = |group: &&mut Vec<&PluginOnPath>| group.first().is_some_and(|first| first.plugin.slot == entry.plugin.slot);
        match slots.iter_mut().find(same) {
            Some(group) => group.push(entry),
            None => slots.push(vec![entry]),
        }
    }
    let rows = columns(&headings, slots.iter().flatten().copied().map(row));
    let mut rows = rows.lines();
    let mut text = rows.next().map(|headings| format!("{headings}\n")).unwrap_or_default();
    for group in &slots {
        text.extend(group.first().copied().map(who));
        text.extend(rows.by_ref().take(group.len()).map(|row| format!("{row}\n")));
    }
    text
}

fn who(entry: &PluginOnPath) -> String {
    let plugin = &entry.plugin;
    let digest = plugin.digest.strip_prefix("sha256:").unwrap_or(&plugin.digest);
    format!(
        "{}: {}@{}, generation {}, sha256 {}\n",
        clipped(&plugin.slot, 64),
        clipped(&plugin.name, 64),
        clipped(&plugin.version, 32),
        plugin.generation,
        clipped(digest.get(..DIGEST).unwrap_or(digest), DIGEST)
    )
}

fn row(entry: &PluginOnPath) -> Vec<String> {
    let plugin = &entry.plugin;
    let state = match plugin.state {
        PluginState::Live => "live",
        PluginState::Faulting => "FAULTING",
        PluginState::Ended => "ended",
    };
    vec![
        format!("  {}", clipped(&entry.path, 12)),
        state.to_owned(),
        short(plugin.calls as f64),
        short(plugin.rows as f64),
        per_row(plugin.total_ns, plugin.rows),
        nanos(plugin.p50_ns),
        nanos(plugin.p99_ns),
        bytes(plugin.memory_bytes),
        short(plugin.traps as f64),
    ]
}
