//! `host status`: where the events of a running host went.

use host_api::{ExportStatus, GetStatus, Origin, PathStatus, PluginState, PluginStatus, Status, Swap};
use host_model::{Probe, ProbeState, UnknownPort};

use crate::args::{DataArgs, Format};
use crate::ask;
use crate::exit::Done;
use crate::ledger;
use crate::output::{self, Align, bytes, columns, grouped, nanos, short, since};
use crate::printable::clipped;

/// Maximum number of swaps in the table; JSON has them all.
const SWAPS_SHOWN: usize = 3;
/// Maximum number of ports of unknown protocols in the table; JSON has them all.
const STRANGERS_SHOWN: usize = 5;
/// UDP in the protocol field of an IP header.
const UDP: u8 = 17;

/// `host status`
pub(crate) async fn status(args: DataArgs) -> Done {
    let client = ask::client(args.socket);
    match args.format.format {
        Format::Json => ask::pass_through(&client, &GetStatus).await,
        Format::Table => output::print(&table(&ask::answer(client.call(&GetStatus)).await?)),
    }
}

/// Formats a status in full.
pub(crate) fn table(status: &Status) -> String {
    let mut text = head(status);
    if !status.paths.is_empty() {
        text.push('\n');
        text.push_str(&ledger::of_paths(&status.paths));
        text.push('\n');
        text.push_str(&plugins(&status.paths));
    }
    let failed: String = status.probes.iter().filter_map(failure).collect();
    for part in [strangers(&status.paths), failed, swaps(&status.swaps)] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

/// Formats the version and state of the host in two or three lines.
fn head(status: &Status) -> String {
    let mode = match status.mode {
        Origin::Live => "live",
        Origin::Replay => "REPLAY of a capture",
    };
    let balance = if status.balanced { "balanced" } else { "UNBALANCED" };
    let process = &status.process;
    format!(
        "host {}  {mode}  up {}  {balance}  memory {}  cpu {} s\n{}",
        clipped(&status.version, 16),
        since(status.uptime_ms),
        bytes(process.rss_bytes),
        process.cpu_seconds,
        export(&status.export),
    )
}

pub(crate) fn export(export: &ExportStatus) -> String {
    let Some(endpoint) = &export.endpoint else {
        return "no collector\n".to_owned();
    };
    let mut text = format!(
        "collector {}  waiting {} of {}  retries {}\n",
        clipped(endpoint, 40),
        bytes(export.queue_bytes),
        bytes(export.queue_cap_bytes),
        grouped(export.retries)
    );
    if let Some(error) = &export.last_error {
        text.push_str(&format!("  last error: {}\n", clipped(error, 200)));
    }
    text
}

/// Returns a line for a probe that should be attached but is not.
pub(crate) fn failure(probe: &Probe) -> Option<String> {
    match &probe.state {
        ProbeState::Failed(reason) => {
            let reason = reason.strip_prefix(&format!("probe `{}`: ", probe.name)).unwrap_or(reason);
            Some(format!("probe {} FAILED: {}\n", clipped(&probe.name, 32), clipped(reason, 400)))
        }
        ProbeState::Attached | ProbeState::Detached => None,
    }
}

/// Formats the plugins by path, and their cost per row.
fn plugins(paths: &[PathStatus]) -> String {
    let headings = [
        ("PATH", Align::Left),
        ("SLOT", Align::Left),
        ("PLUGIN", Align::Left),
        ("GEN", Align::Right),
        ("ROWS", Align::Right),
        ("NS/ROW", Align::Right),
        ("FAULTS", Align::Right),
    ];
    let row = |path: &PathStatus, plugin: &PluginStatus| {
        let mark = match plugin.state {
            PluginState::Faulting => "FAULTING ",
            PluginState::BackingOff => "BACKING OFF ",
            PluginState::Quarantined => "QUARANTINED ",
            PluginState::Live | PluginState::Ended => "",
        };
        vec![
            clipped(&path.probe, 12),
            clipped(&plugin.slot, 20),
            format!("{}@{}", clipped(&plugin.name, 24), clipped(&plugin.version, 12)),
            plugin.generation.to_string(),
            short(plugin.rows as f64),
            per_row(plugin.total_ns, plugin.rows),
            format!("{mark}{}", grouped(plugin.traps)),
        ]
    };
    columns(&headings, paths.iter().flat_map(|path| path.plugins.iter().map(|plugin| row(path, plugin))))
}

/// Formats nanoseconds per row; `-` before the first.
pub(crate) fn per_row(total_ns: u64, rows: u64) -> String {
    if rows == 0 { "-".to_owned() } else { format!("{:.0}", total_ns as f64 / rows as f64) }
}

/// Formats the ports whose protocol is unknown, those with most connections first.
fn strangers(paths: &[PathStatus]) -> String {
    let mut unknown: Vec<&UnknownPort> = paths.iter().flat_map(|path| &path.unknown).collect();
    if unknown.is_empty() {
        return String::new();
    }
    unknown.sort_by_key(|stranger| (std::cmp::Reverse(stranger.connections), stranger.port));
    let headings = [("UNKNOWN PROTOCOLS", Align::Left), ("CONNECTIONS", Align::Right), ("RECORDS", Align::Right)];
    let row = |of: &&UnknownPort| vec![place(of), grouped(of.connections), grouped(of.records)];
    let mut text = columns(&headings, unknown.iter().take(STRANGERS_SHOWN).map(row));
    let left_out = unknown.len().saturating_sub(STRANGERS_SHOWN);
    if left_out > 0 {
        text.push_str(&format!("and {left_out} more: `host status --format json`\n"));
    }
    text
}

/// Formats `port 5671`, `port 1234/udp`; ports that were not counted separately are one entry.
fn place(unknown: &UnknownPort) -> String {
    match unknown.transport {
        0 => "other ports".to_owned(),
        UDP => format!("port {}/udp", unknown.port),
        _ => format!("port {}", unknown.port),
    }
}

/// Formats the last swaps, newest first.
fn swaps(swaps: &[Swap]) -> String {
    if swaps.is_empty() {
        return String::new();
    }
    let count = grouped(swaps.len() as u64);
    let mut text = format!("swaps: {count}; the last, with their pause (`host plugin history` says why):\n");
    for swap in swaps.iter().rev().take(SWAPS_SHOWN) {
        text.push_str(&line(swap, ""));
        text.push('\n');
    }
    text
}

/// Formats a swap in one line: from, to, time, pause of the paths, handover and reason, one word each.
pub(crate) fn line(swap: &Swap, when: &str) -> String {
    let name = |name: &str| if name.is_empty() { "nothing".to_owned() } else { clipped(name, 48) };
    // A load is the usual reason and not shown.
    let reason = first_word(&swap.reason);
    let reason = if reason == "load" { "" } else { reason };
    let words = [when, &nanos(swap.pause_ns), first_word(&swap.handover), reason].map(|word| clipped(word, 40));
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("{}: {} -> {}, {}", clipped(&swap.slot, 20), name(&swap.from), name(&swap.to), words.join(", "))
}

/// Returns the part before the colon; the reason follows it.
pub(crate) fn first_word(text: &str) -> &str {
    text.split(':').next().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use host_api::ProcessStatus;

    use super::*;
    use crate::ledger::tests::FILE;

    /// A host that has run for a while, with every part of a status.
    pub(crate) fn status() -> Status {
        let plugin = PluginStatus {
            slot: "decoder.file".into(),
            name: "decoder-file".into(),
            version: "0.1.0".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            generation: 1,
            state: PluginState::Live,
            calls: 197,
            rows: 200_994,
            traps: 1,
            p50_ns: 9_800,
            p99_ns: 21_400,
            memory_bytes: 1 << 20,
            memory_cap_bytes: 64 << 20,
            faults: std::collections::BTreeMap::from([(host_model::FaultKind::Trap, 1)]),
            recycled: 0,
            host_calls: 0,
            lines_left_out: 0,
            lookups_left_out: 0,
            work_ns: 401_988,
            work_p99_ns: 4_100,
            total_ns: 2_009_940,
        };
        let sampler = PluginStatus {
            slot: "sampler".into(),
            name: "sampler-rate".into(),
            version: "0.3.0".into(),
            generation: 2,
            state: PluginState::Faulting,
            rows: 0,
            traps: 0,
            ..plugin.clone()
        };
        Status {
            balanced: true,
            version: "0.1.0".into(),
            uptime_ms: 192_000,
            mode: Origin::Live,
            paths: vec![PathStatus {
                ledger_age_ms: 0,
                probe: "file".into(),
                ledger: FILE,
                plugins: vec![plugin, sampler],
                metrics_series: 3,
                trunk: None,
                connections: 0,
                unknown: Vec::new(),
            }],
            probes: vec![Probe {
                name: "tcp".into(),
                built_in: true,
                state: ProbeState::Failed("raw_tp/inet_sock_set_state needs BTF, this kernel has none".into()),
                hooks: vec![],
                passed_over: vec![],
                layout: None,
                ring_bytes: 0,
                capabilities: vec![],
            }],
            swaps: vec![Swap {
                slot: "sampler".into(),
                from: "sampler-ratio@0.1.0 (1)".into(),
                to: "sampler-rate@0.3.0 (2)".into(),
                pause_ns: 41_300,
                rows_during: 1_024,
                handover: "cold".into(),
                reason: "load".into(),
                unix_ms: 0,
            }],
            export: ExportStatus {
                endpoint: Some("http://localhost:4317".into()),
                queue_bytes: 512,
                queue_cap_bytes: 32 << 20,
                last_error: Some("UNAVAILABLE: connection refused".into()),
                retries: 2,
            },
            process: ProcessStatus { rss_bytes: 41 << 20, cpu_seconds: 1, cpu_ms: 1_300 },
        }
    }

    #[test]
    fn a_status_is_readable_in_80_columns() {
        let expected = "\
host 0.1.0  live  up 3m12s  balanced  memory 41.0 MiB  cpu 1 s
collector http://localhost:4317  waiting 512 B of 32.0 MiB  retries 2
  last error: UNAVAILABLE: connection refused
";
        let text = table(&status());
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("FAULTING 0"), "{text}");
        assert!(text.contains("probe tcp FAILED: raw_tp/inet_sock_set_state needs BTF"), "{text}");
        assert!(text.contains("sampler-ratio@0.1.0 (1) -> sampler-rate@0.3.0 (2), 41.3 us, cold"), "{text}");
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?}\n{text}");
    }

    #[test]
    fn unknown_protocols_are_listed_by_port_the_busiest_first() {
        let mut status = status();
        assert!(!table(&status).contains("unknown"), "nothing is said of nothing");
        let stranger = |transport, port, connections| UnknownPort { transport, port, connections, records: 8 * connections };
        let known_ports = [stranger(6, 9092, 56), stranger(17, 443, 1_200), stranger(0, 0, 70)];
        let few = (0..4).map(|port| stranger(6, 5671 + port, 1));
        status.paths[0].unknown = known_ports.into_iter().chain(few).collect();
        let expected = "
UNKNOWN PROTOCOLS  CONNECTIONS  RECORDS
port 443/udp             1,200    9,600
other ports                 70      560
port 9092                   56      448
port 5671                    1        8
port 5672                    1        8
and 2 more: `host status --format json`
";
        assert!(table(&status).contains(expected), "{}", table(&status));
    }

    #[test]
    fn a_swap_says_who_made_it_unless_somebody_loaded_it() {
        let mut swap = status().swaps.remove(0);
        assert_eq!(line(&swap, ""), "sampler: sampler-ratio@0.1.0 (1) -> sampler-rate@0.3.0 (2), 41.3 us, cold");
        swap.reason = "quarantined\x1b: 10 faults within 60s".into();
        assert!(line(&swap, "1s ago").ends_with(", 1s ago, 41.3 us, cold, quarantined\u{fffd}"), "{}", line(&swap, "1s ago"));
        (swap.to, swap.handover, swap.reason) = (String::new(), String::new(), "unload".into());
        assert_eq!(line(&swap, ""), "sampler: sampler-ratio@0.1.0 (1) -> nothing, 41.3 us, unload");
    }

    #[test]
    fn no_cost_is_shown_before_the_first_row() {
        assert_eq!(per_row(10, 0), "-");
        assert_eq!(per_row(2_009_940, 200_994), "10");
    }
}
