//! `host probe`: the probes attached to the kernel.

use host_api::{GetProbes, LARGEST_OBJECT, LoadProbe, UnloadProbe};
use host_model::{Probe, ProbeState};

use crate::args::{DataArgs, Format, ProbeCommand, ProbeLoadArgs, ProbeUnloadArgs};
use crate::ask;
use crate::exit::Done;
use crate::output::{self, Align, bytes, columns};
use crate::plugin::sent;
use crate::printable::{clipped, printable};
use crate::status::failure;

/// `host probe`
pub(crate) async fn probe(command: ProbeCommand) -> Done {
    match command {
        ProbeCommand::List(args) => list(args).await,
        ProbeCommand::Load(args) => load(args).await,
        ProbeCommand::Unload(args) => unload(args).await,
    }
}

async fn list(args: DataArgs) -> Done {
    let client = ask::client(args.socket);
    match args.format.format {
        Format::Json => ask::pass_through(&client, &GetProbes).await,
        Format::Table => output::print(&table(&ask::answer(client.call(&GetProbes)).await?)),
    }
}

async fn load(args: ProbeLoadArgs) -> Done {
    let (path, bytes_base64) = sent(&args.file, LARGEST_OBJECT)?;
    let load = LoadProbe { path, bytes_base64, name: None, max_entries: args.maps.into_iter().collect() };
    let client = ask::client(args.data.socket);
    let probe = ask::answer(client.call(&load)).await?;
    match args.data.format.format {
        Format::Json => output::print_json(&probe),
        Format::Table => output::print(&table(std::slice::from_ref(&probe))),
    }
}

async fn unload(args: ProbeUnloadArgs) -> Done {
    let client = ask::client(args.data.socket);
    let unload = UnloadProbe { probe: args.probe.clone() };
    let answer: serde_json::Value = ask::answer(client.call_as(&unload)).await?;
    match args.data.format.format {
        Format::Json => output::print_json(&answer),
        Format::Table => output::print(&format!("{} is detached and its path has ended\n", printable(&args.probe))),
    }
}

/// Formats a line per probe, its hooks below; then a line for each better hook that is missing, and for each probe that failed.
fn table(probes: &[Probe]) -> String {
    let headings = [
        ("PROBE", Align::Left),
        ("STATE", Align::Left),
        ("ORIGIN", Align::Left),
        ("RECORD", Align::Left),
        ("RING", Align::Right),
        ("HOOKS", Align::Left),
    ];
    let mut rows = Vec::new();
    for probe in probes {
        let state = match probe.state {
            ProbeState::Attached => "attached",
            ProbeState::Failed(_) => "FAILED",
            ProbeState::Detached => "detached",
        };
        let mut hooks = probe.hooks.iter().map(|hook| clipped(hook, 60));
        rows.push(vec![
            clipped(&probe.name, 24),
            state.to_owned(),
            if probe.built_in { "built in" } else { "loaded" }.to_owned(),
            probe.layout.as_ref().map_or_else(|| "-".to_owned(), |layout| clipped(&layout.name, 24)),
            bytes(u64::from(probe.ring_bytes)),
            hooks.next().unwrap_or_else(|| "-".to_owned()),
        ]);
        rows.extend(hooks.map(|hook| vec![String::new(), String::new(), String::new(), String::new(), String::new(), hook]));
    }
    let mut text = columns(&headings, rows);
    let lesser = probes.iter().flat_map(|probe| probe.passed_over.iter().map(|reason| lesser(probe, reason)));
    let below: String = lesser.chain(probes.iter().filter_map(failure)).collect();
    if !below.is_empty() {
        text.push('\n');
        text.push_str(&below);
    }
    text
}

/// Describes why a probe does not use a better hook.
fn lesser(probe: &Probe, reason: &str) -> String {
    format!("probe {} without {}\n", printable(&probe.name), clipped(reason, 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_and_what_better_cannot_be_had_is_told_below_the_table() {
        let attached = Probe {
            name: "file".into(),
            built_in: true,
            state: ProbeState::Attached,
            hooks: vec!["tp/syscalls/sys_enter_openat".into(), "tp/syscalls/sys_exit_openat".into()],
            passed_over: vec!["fexit/f: this kernel has no such hook".into()],
            layout: None,
            ring_bytes: 8 << 20,
            capabilities: vec![],
        };
        let failed = Probe {
            name: "mine".into(),
            built_in: false,
            state: ProbeState::Failed("no BTF\x1b[2J".into()),
            hooks: vec![],
            passed_over: vec![],
            ..attached.clone()
        };
        let expected = "\
PROBE  STATE     ORIGIN    RECORD     RING  HOOKS
file   attached  built in  -       8.0 MiB  tp/syscalls/sys_enter_openat
                                            tp/syscalls/sys_exit_openat
mine   FAILED    loaded    -       8.0 MiB  -

probe file without fexit/f: this kernel has no such hook
probe mine FAILED: no BTF\u{fffd}[2J
";
        assert_eq!(table(&[attached, failed]), expected);
    }
}
