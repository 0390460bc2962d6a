//! `host plugin compare`: compares a candidate with the live plugin.

use std::time::Duration;

use host_api::{ClientError, ComparePlugin, ShadowState, ShadowStatus};
use host_model::{Comparison, Example, Role};
use serde_json::value::RawValue;

use super::candidate::which;
use super::{label, parts};
use crate::args::{CompareArgs, Format};
use crate::exit::{Code, Done, Failure};
use crate::output::{self, Align, columns, grouped, percent, sheet, since};
use crate::printable::{clipped, printable};
use crate::redraw;
use crate::status::per_row;
use crate::style;

/// Interval of `--watch`.
const EVERY: Duration = Duration::from_secs(1);

/// Columns of an example.
const WIDTH: usize = 80;
/// Columns of one plugin's result for an example: a verdict with its threshold.
const RESULT: usize = 24;

/// `host plugin compare`
pub(super) async fn compare(args: CompareArgs) -> Done {
    let (client, format) = parts(args.data);
    let slot = which(&client, args.slot.as_deref()).await?;
    let ask = ComparePlugin { slot };
    let (mut drawn, mut seen) = (0, false);
    loop {
        let answer: Box<RawValue> = match client.call_as(&ask).await {
            Err(ClientError::Refused(_)) if seen => {
                style::note("the candidate was discarded");
                return Ok(());
            }
            answer => answer?,
        };
        seen = true;
        // Programs get the host's answer unchanged; it is parsed here only to find the end of the run.
        let status: ShadowStatus = serde_json::from_str(answer.get())
            .map_err(|error| Failure::new(Code::Failed, format!("the comparison cannot be read: {error}")))?;
        let last = !args.watch || status.state != ShadowState::Shadowing;
        match format {
            Format::Json => output::print(&format!("{}\n", answer.get()))?,
            Format::Table => drawn = redraw::draw(&table(&status), drawn, last)?,
        }
        if last {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Formats a comparison for a person.
fn table(status: &ShadowStatus) -> String {
    let role = status.slot.role();
    let mut text =
        format!("{}: {} in the shadow of {}\n", status.slot, label(&status.name, &status.version), clipped(&status.live, 120));
    text.push_str(&doing(status));
    text.push('\n');
    text.push_str(&sheet(sums(status, role)));
    if status.paths.len() > 1 {
        text.push('\n');
        text.push_str(&paths(status));
    }
    if !status.comparison.examples.is_empty() {
        text.push('\n');
        text.push_str(&examples(&status.comparison.examples));
    }
    text
}

/// Describes the state of the candidate and its next step in one or two lines.
fn doing(status: &ShadowStatus) -> String {
    let elapsed = since(status.elapsed_ms);
    match (&status.state, plan(status)) {
        (ShadowState::Shadowing, Some(plan)) => format!("  shadowing for {elapsed}\n  {plan}\n"),
        (ShadowState::Shadowing, None) => format!("  shadowing for {elapsed}, until it is promoted or discarded\n"),
        (ended, _) => format!("  {}, after {elapsed}\n", clipped(&ended.to_string(), 400)),
    }
}

/// Describes the condition of its promotion, and the time of the evaluation.
pub(super) fn plan(status: &ShadowStatus) -> Option<String> {
    let condition = clipped(status.promote_if.as_deref()?, 300);
    Some(format!("promoted after {} if {condition}", since(status.after_ms?)))
}

/// Returns the sums over all paths.
fn sums(status: &ShadowStatus, role: Role) -> Vec<(&'static str, String)> {
    let sums = &status.comparison;
    let mut lines = Vec::new();
    if sums.rows == 0 {
        lines.push(("agreement", "no row was compared yet".to_owned()));
    } else {
        let (low, high) = status.interval;
        let (low, high) = (percent(1.0 - high), percent(1.0 - low));
        lines.push(("agreement", format!("{}; 95 % confidence: {low} to {high}", percent(1.0 - status.disagreement))));
        let (differing, rows) = (grouped(sums.differing), grouped(sums.rows));
        lines.push(("differing", format!("{differing} of {rows} rows, {}", percent(status.disagreement))));
    }
    let both = format!("live {}, candidate {}", grouped(sums.live_rows), grouped(sums.candidate_rows));
    match role {
        Role::Decoder => lines.push(("rows made", both)),
        Role::Sampler => lines.push(("rows kept", both)),
        Role::Enricher => {}
    }
    if role != Role::Sampler {
        lines.push(("columns", fields(sums)));
    }
    lines.push(("cost", cost(sums)));
    lines.push(("faults", grouped(sums.faults)));
    lines.push(("batches", batches(sums)));
    lines
}

/// Lists the columns that only one of the two has.
fn fields(sums: &Comparison) -> String {
    let list = |names: &[String]| names.iter().map(|name| clipped(name, 64)).collect::<Vec<_>>().join(", ");
    match (sums.missing_fields.as_slice(), sums.added_fields.as_slice()) {
        ([], []) => "the same".to_owned(),
        (missing, []) => format!("missing {}", list(missing)),
        ([], added) => format!("added {}", list(added)),
        (missing, added) => format!("missing {}\nadded {}", list(missing), list(added)),
    }
}

/// Returns the cost of the candidate relative to the live plugin: the median of the batches, and the mean of both.
fn cost(sums: &Comparison) -> String {
    if sums.batches == 0 {
        return "-".to_owned();
    }
    let (live, candidate) = (per_row(sums.live_ns, sums.timed_rows), per_row(sums.candidate_ns, sums.timed_rows));
    format!("{:.2} of the live one's; ns/row: live {live}, candidate {candidate}", sums.cost)
}

fn batches(sums: &Comparison) -> String {
    let mut text = format!("{} compared", grouped(sums.batches));
    if sums.left_out > 0 {
        text.push_str(&format!(", {} left out by the share", grouped(sums.left_out)));
    }
    if sums.dropped > 0 {
        text.push_str(&format!(", {} dropped for want of time", grouped(sums.dropped)));
    }
    text
}

/// Returns the same figures path by path.
fn paths(status: &ShadowStatus) -> String {
    let headings = [
        ("PATH", Align::Left),
        ("ROWS", Align::Right),
        ("DIFFER", Align::Right),
        ("DISAGREE", Align::Right),
        ("COST", Align::Right),
        ("FAULTS", Align::Right),
        ("BATCHES", Align::Right),
        ("DROPPED", Align::Right),
    ];
    let row = |(path, sums): (&String, &Comparison)| {
        vec![
            clipped(path, 12),
            grouped(sums.rows),
            grouped(sums.differing),
            percent(sums.disagreement()),
            format!("{:.2}", sums.cost),
            grouped(sums.faults),
            grouped(sums.batches),
            grouped(sums.dropped),
        ]
    };
    columns(&headings, status.paths.iter().map(row))
}

/// Lists rows on which the two differ; the text of a row is cut to the available width.
fn examples(examples: &[Example]) -> String {
    let result = |text: &str| clipped(text, RESULT);
    let widest = |text: fn(&Example) -> &str| examples.iter().map(|example| result(text(example)).chars().count()).max();
    let (live, candidate) = (widest(|example| &example.live), widest(|example| &example.candidate));
    let taken = live.unwrap_or_default().max("LIVE".len()) + candidate.unwrap_or_default().max("CANDIDATE".len()) + 4;
    let room = WIDTH.saturating_sub(taken);
    let row = |example: &Example| {
        let known = example.row.iter().filter(|(_, value)| !value.is_empty());
        let known: Vec<String> = known.map(|(field, value)| format!("{field}={}", printable(value))).collect();
        vec![result(&example.live), result(&example.candidate), clipped(&known.join(" "), room)]
    };
    columns(&[("LIVE", Align::Left), ("CANDIDATE", Align::Left), ("ROW", Align::Left)], examples.iter().map(row))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use host_api::Slot;

    use super::*;

    pub(in crate::plugin) fn shadow() -> ShadowStatus {
        let row = BTreeMap::from([
            ("error.type".to_owned(), String::new()),
            ("file.path".to_owned(), "/etc/\x1b[2Jpasswd".to_owned()),
            ("process.executable.name".to_owned(), "a-program-with-a-long-name-that-is-cut".to_owned()),
        ]);
        let comparison = Comparison {
            batches: 98,
            left_out: 883,
            dropped: 2,
            rows: 100_352,
            differing: 1_024,
            faults: 0,
            live_rows: 20_112,
            candidate_rows: 21_136,
            timed_rows: 100_352,
            live_ns: 1_204_224,
            candidate_ns: 1_404_928,
            cost: 1.13,
            examples: vec![Example { row, live: "drop".into(), candidate: "keep 0.1".into() }],
            ..Comparison::default()
        };
        ShadowStatus {
            slot: Slot::Sampler,
            name: "sampler-tail".into(),
            version: "1.0.0".into(),
            digest: format!("sha256:{}", "ab".repeat(32)),
            live: "sampler-ratio@0.1.0 (1)".into(),
            share: 0.1,
            replaced: None,
            since_unix_ms: 0,
            elapsed_ms: 123_000,
            state: ShadowState::Shadowing,
            disagreement: comparison.disagreement(),
            interval: comparison.interval(),
            paths: BTreeMap::from([("file".to_owned(), comparison.clone())]),
            comparison,
            promote_if: Some("disagreement < 0.1% and faults == 0".into()),
            after_ms: Some(600_000),
        }
    }

    #[test]
    fn a_comparison_is_a_page_that_80_columns_have_room_for() {
        let expected = "\
sampler: sampler-tail@1.0.0 in the shadow of sampler-ratio@0.1.0 (1)
  shadowing for 2m03s
  promoted after 10m00s if disagreement < 0.1% and faults == 0

agreement  98.980 %; 95 % confidence: 98.916 % to 99.040 %
differing  1,024 of 100,352 rows, 1.020 %
rows kept  live 20,112, candidate 21,136
cost       1.13 of the live one's; ns/row: live 12, candidate 14
faults     0
batches    98 compared, 883 left out by the share, 2 dropped for want of time

LIVE  CANDIDATE  ROW
drop  keep 0.1   file.path=/etc/\u{fffd}[2Jpasswd process.executable.name=a-program-wi…
";
        assert_eq!(table(&shadow()), expected);
    }

    #[test]
    fn columns_that_only_one_of_them_has_are_named() {
        let mut status = ShadowStatus { slot: Slot::Enricher("pod".into()), ..shadow() };
        status.comparison.missing_fields = vec!["k8s.pod.uid".into()];
        status.comparison.added_fields = vec!["k8s.pod.name".into(), "k8s.node\x1b".into()];
        let text = table(&status);
        assert!(text.contains("columns    missing k8s.pod.uid\n           added k8s.pod.name, k8s.node\u{fffd}\n"), "{text}");
        assert!(!text.contains("rows kept"), "an enricher keeps nothing: {text}");
    }

    #[test]
    fn several_paths_are_told_apart() {
        let mut status = shadow();
        status.paths.insert("tcp".into(), Comparison { rows: 10, batches: 1, cost: 0.9, ..Comparison::default() });
        let text = table(&status);
        assert!(text.contains("file  100,352   1,024   1.020 %  1.13       0       98        2\n"), "{text}");
        assert!(text.contains("tcp        10       0   0.000 %  0.90       0        1        0\n"), "{text}");
    }

    #[test]
    fn before_the_first_row_nothing_is_claimed() {
        let comparison = Comparison::default();
        let status = ShadowStatus { interval: comparison.interval(), disagreement: 0.0, comparison, ..shadow() };
        let text = table(&status);
        assert!(text.contains("agreement  no row was compared yet\n") && text.contains("cost       -\n"), "{text}");
    }

    #[test]
    fn an_end_is_said_with_its_reason() {
        let status = ShadowStatus { state: ShadowState::Kept("disagreement is 1.02%".into()), ..shadow() };
        assert!(table(&status).contains("\n  kept: disagreement is 1.02%, after 2m03s\n"), "{}", table(&status));
        let status = ShadowStatus { state: ShadowState::Promoted("cost 1 < 2".into()), ..shadow() };
        assert!(table(&status).contains("\n  promoted: cost 1 < 2, after 2m03s\n"), "{}", table(&status));
    }
}
