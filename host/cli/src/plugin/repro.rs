//! `host plugin repro`: failed calls, from the running host or from its state folder.

use host_api::{BoundTo, Client, ClientError, GetRepro, GetRepros, Repro, ReproSummary, Rerun, RerunOutcome};
use host_daemon::config::default_state_dir;
use host_daemon::from_slot_limits;
use host_daemon::repro::{self, Store};

use super::{label, parts, slot};
use crate::args::{Format, KeptArgs, ReproCommand, ReproListArgs, ReproRunArgs, ReproShowArgs};
use crate::exit::{Code, Done, Failure};
use crate::output::{self, Align, ago, bytes, columns, grouped, nanos, sheet};
use crate::printable::{clipped, printable};

/// `host plugin repro`
pub(super) async fn repro(command: ReproCommand) -> Done {
    match command {
        ReproCommand::List(args) => list(args).await,
        ReproCommand::Show(args) => show(args).await,
        ReproCommand::Run(args) => run(args).await,
    }
}

/// The source of the repros.
enum Kept {
    Host(Client),
    Folder(Store),
}

async fn list(args: ReproListArgs) -> Done {
    let format = args.kept.data.format.format;
    let repros = match kept(args.kept).await? {
        Kept::Host(client) => client.call(&GetRepros).await?,
        Kept::Folder(store) => store.list(),
    };
    match format {
        Format::Json => output::print_json(&repros),
        Format::Table => output::print(&table(&repros, output::now())),
    }
}

async fn show(args: ReproShowArgs) -> Done {
    let format = args.kept.data.format.format;
    let repro = find(&args.id, args.kept).await?;
    match format {
        Format::Json => output::print_json(&repro),
        Format::Table => output::print(&page(&repro, output::now())),
    }
}

async fn run(args: ReproRunArgs) -> Done {
    let format = args.kept.data.format.format;
    let repro = find(&args.id, args.kept).await?;
    let engine = repro::engine()?;
    let rerun = repro::run(&repro, &engine, args.component.as_deref())?;
    match format {
        Format::Json => output::print_json(&rerun)?,
        Format::Table => output::print(&sentence(&repro.summary, &rerun))?,
    }
    verdict(rerun.outcome, args.component.is_some())
}

/// Whether the rerun had the desired result: the component that failed fails again, a fix does not.
fn verdict(outcome: RerunOutcome, fix: bool) -> Done {
    match (outcome, fix) {
        (RerunOutcome::Again, false) | (RerunOutcome::Succeeded, true) => Ok(()),
        (RerunOutcome::Unbound, _) => Err(Failure::Said(Code::Refused)),
        (RerunOutcome::Again | RerunOutcome::Otherwise | RerunOutcome::Succeeded, _) => Err(Failure::Said(Code::Failed)),
    }
}

/// Returns one repro. The id is checked because it becomes part of a request and of a path.
async fn find(id: &str, args: KeptArgs) -> Result<Repro, Failure> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        let failure = Failure::new(Code::Usage, format!("{:?} is not the id of a call", printable(id)));
        return Err(failure.cured_by("`host plugin repro list` shows the calls there are"));
    }
    Ok(match kept(args).await? {
        Kept::Host(client) => client.call(&GetRepro { id: id.to_owned() }).await?,
        Kept::Folder(store) => store.find(id)?,
    })
}

/// Returns the folder named; otherwise the running host; otherwise the default state folder.
async fn kept(args: KeptArgs) -> Result<Kept, Failure> {
    if let Some(folder) = args.state_dir {
        return Ok(Kept::Folder(Store::open(&folder)));
    }
    let (client, _) = parts(args.data);
    match client.call(&GetRepros).await {
        Err(error @ ClientError::NoDaemon { .. }) => {
            let folder = default_state_dir().filter(|folder| folder.join("repro").is_dir());
            folder.map(|folder| Kept::Folder(Store::open(&folder))).ok_or_else(|| {
                Failure::from(error).cured_by("start one with `host run`, or name the folder of its state with --state-dir")
            })
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(Kept::Host(client)),
    }
}

/// Formats a line per call; its id contains the slot, the path and the kind of fault.
fn table(repros: &[ReproSummary], now: u64) -> String {
    if repros.is_empty() {
        return "no call that failed is kept\n".to_owned();
    }
    let headings =
        [("ID", Align::Left), ("FAILED", Align::Left), ("PLUGIN", Align::Left), ("STEP", Align::Left), ("ROWS", Align::Right)];
    let row = |repro: &ReproSummary| {
        vec![
            clipped(&repro.id, 128),
            ago(repro.unix_ms, now),
            label(&repro.name, &repro.version),
            clipped(&repro.step, 16),
            grouped(repro.rows),
        ]
    };
    columns(&headings, repros.iter().map(row))
}

/// Formats one repro in full.
fn page(repro: &Repro, now: u64) -> String {
    let summary = &repro.summary;
    let bound_to = match &repro.bound_to {
        BoundTo::Layout(layout) => format!("the record `{}`", printable(&layout.name)),
        BoundTo::Schema(schema) => format!("rows of {} fields", schema.fields.len()),
    };
    let grants = if repro.grants.is_empty() { vec!["nothing but log and config".to_owned()] } else { repro.grants.clone() };
    sheet([
        ("id", summary.id.clone()),
        (
            "plugin",
            format!(
                "{}, generation {} of {}",
                label(&summary.name, &summary.version),
                summary.generation,
                printable(&summary.slot)
            ),
        ),
        ("digest", summary.digest.clone()),
        (
            "failed",
            format!("{}, in `{}`, on path {}", ago(summary.unix_ms, now), printable(&summary.step), printable(&summary.probe)),
        ),
        ("fault", format!("{}: {}", summary.kind, printable(&summary.detail))),
        ("batch", format!("{} rows, {}", grouped(summary.rows), bytes(summary.bytes))),
        ("bound to", bound_to),
        ("config", serde_json::to_string(&repro.config).unwrap_or_default()),
        ("grants", grants.join("\n")),
        ("limits", slot::limits(&from_slot_limits(&repro.limits))),
        ("folder", summary.folder.display().to_string()),
        ("again", format!("host plugin repro run {}", summary.id)),
    ])
}

/// Describes whether it failed again.
fn sentence(summary: &ReproSummary, rerun: &Rerun) -> String {
    let detail = printable(&rerun.detail);
    let took = nanos(rerun.elapsed_ns);
    let (step, kind) = (printable(&summary.step), summary.kind);
    match rerun.outcome {
        RerunOutcome::Again => format!("FAILED AGAIN: `{step}`, {kind}, after {took}\n{detail}\n"),
        RerunOutcome::Otherwise => format!("FAILED OTHERWISE: `{step}` failed with {kind} then, now after {took}:\n{detail}\n"),
        RerunOutcome::Succeeded => format!(
            "did not fail: `{step}` returned after {took}\n{detail}\n\
             if this is not your fix: the fault may need the calls before it, the host's tables or maps, or a busier machine\n"
        ),
        RerunOutcome::Unbound => format!("was not called: {detail}\n"),
    }
}

#[cfg(test)]
mod tests {
    use host_daemon::to_slot_limits;
    use host_model::{Fallback, FaultKind, Role, Schema, Signal};
    use host_plugin::Limits;

    use super::*;

    fn call() -> Repro {
        let summary = ReproSummary {
            id: "1767323045000-sampler-file-trap".into(),
            unix_ms: 1_000_000,
            name: "sampler-rate".into(),
            version: "0.3.0".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            slot: "sampler".into(),
            generation: 2,
            role: Role::Sampler,
            probe: "file".into(),
            step: "decide".into(),
            kind: FaultKind::Trap,
            detail: "unreachable\x1b[2J".into(),
            rows: 1_024,
            bytes: 49_152,
            folder: "/var/lib/host/repro/x".into(),
        };
        Repro {
            summary,
            config: serde_json::Map::new(),
            limits: to_slot_limits(&Limits::default()),
            grants: vec![],
            fallback: Fallback::Pass,
            bound_to: BoundTo::Schema(Schema { event: "file".into(), signal: Signal::Span, fields: vec![], metrics: vec![] }),
            fields: vec![],
        }
    }

    #[test]
    fn the_calls_that_are_kept_are_lines_with_their_ids_first() {
        let expected = "\
ID                               FAILED     PLUGIN              STEP     ROWS
1767323045000-sampler-file-trap  1m00s ago  sampler-rate@0.3.0  decide  1,024
";
        assert_eq!(table(&[call().summary], 1_060_000), expected);
        assert_eq!(table(&[], 0), "no call that failed is kept\n");
    }

    #[test]
    fn a_call_is_a_page_that_ends_with_how_to_make_it_again() {
        let text = page(&call(), 1_060_000);
        for line in [
            "plugin    sampler-rate@0.3.0, generation 2 of sampler",
            "failed    1m00s ago, in `decide`, on path file",
            "fault     trap: unreachable\u{fffd}[2J",
            "batch     1,024 rows, 48.0 KiB",
            "grants    nothing but log and config",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        assert!(text.ends_with("again     host plugin repro run 1767323045000-sampler-file-trap\n"), "{text}");
    }

    #[test]
    fn a_fix_that_works_is_success_and_so_is_a_fault_that_comes_again() {
        for (outcome, fix, ends) in [
            (RerunOutcome::Again, false, None),
            (RerunOutcome::Succeeded, false, Some(Code::Failed)),
            (RerunOutcome::Succeeded, true, None),
            (RerunOutcome::Again, true, Some(Code::Failed)),
            (RerunOutcome::Otherwise, true, Some(Code::Failed)),
            (RerunOutcome::Unbound, true, Some(Code::Refused)),
        ] {
            let code = match verdict(outcome, fix) {
                Err(Failure::Said(code)) => Some(code),
                _ => None,
            };
            assert_eq!(code, ends, "{outcome:?}, fix: {fix}");
        }
    }

    #[test]
    fn every_outcome_has_its_words() {
        let say = |outcome| sentence(&call().summary, &Rerun { outcome, detail: "d\x07".into(), elapsed_ns: 41_300 });
        assert_eq!(say(RerunOutcome::Again), "FAILED AGAIN: `decide`, trap, after 41.3 us\nd\u{fffd}\n");
        assert!(say(RerunOutcome::Otherwise).starts_with("FAILED OTHERWISE: `decide` failed with trap then"));
        assert!(say(RerunOutcome::Succeeded).starts_with("did not fail: `decide` returned after 41.3 us"));
        assert_eq!(say(RerunOutcome::Unbound), "was not called: d\u{fffd}\n");
    }
}
