//! `host plugin history`: the generations kept of a slot, and the swaps between them.

use host_api::{GetSlots, GetStatus, Slot, SlotGeneration, Swap};
use serde::Serialize;

use super::{brief, label, parts, slot_named};
use crate::args::{Format, HistoryArgs};
use crate::ask;
use crate::exit::{Code, Done, Failure};
use crate::output::{self, Align, ago, columns};
use crate::printable::clipped;
use crate::status::{self, first_word};

/// Maximum number of swaps in the table; JSON has them all.
const SWAPS_SHOWN: usize = 10;

/// The history of the slots.
#[derive(Debug, Serialize)]
struct History {
    /// The generations kept, slot by slot, oldest first.
    generations: Vec<SlotGeneration>,
    /// The last swaps, oldest first.
    swaps: Vec<Swap>,
}

/// `host plugin history`
pub(super) async fn history(args: HistoryArgs) -> Done {
    let of: Option<Slot> = args.slot.as_deref().map(slot_named).transpose()?;
    let (client, format) = parts(args.data);
    let mut history = History {
        generations: ask::answer(client.call(&GetSlots)).await?,
        swaps: ask::answer(client.call(&GetStatus)).await?.swaps,
    };
    if let Some(of) = &of {
        history.generations.retain(|generation| generation.slot == *of);
        history.swaps.retain(|swap| swap.slot == of.to_string());
        if history.generations.is_empty() && history.swaps.is_empty() {
            return Err(empty(of));
        }
    }
    match format {
        Format::Json => output::print_json(&history),
        Format::Table => output::print(&history.table(output::now())),
    }
}

/// Returns the failure for a slot without any history.
pub(super) fn empty(slot: &Slot) -> Failure {
    let failure = Failure::new(Code::Failed, format!("{slot} is empty"));
    failure.cured_by("`host plugin list` shows the slots that are not")
}

// === impl History ===

impl History {
    fn table(&self, now: u64) -> String {
        let mut text = generations(&self.generations, now);
        if !self.swaps.is_empty() {
            text.push_str("\nswaps, the last one first:\n");
        }
        text.extend(self.swaps.iter().rev().take(SWAPS_SHOWN).map(|swap| because(swap, now)));
        text
    }
}

/// Formats a swap; if there is more to say than a word, adds its reason and why a state was not handed over.
fn because(swap: &Swap, now: u64) -> String {
    let mut text = format!("  {}\n", status::line(swap, &ago(swap.unix_ms, now)));
    let more = [&swap.reason, &swap.handover].into_iter().filter(|why| why.contains(": "));
    text.extend(more.map(|why| format!("    {}\n", clipped(why, 400))));
    text
}

/// Formats the generations slot by slot, newest first.
fn generations(generations: &[SlotGeneration], now: u64) -> String {
    let headings = [
        ("  GEN", Align::Left),
        ("LIVE", Align::Left),
        ("PLUGIN", Align::Left),
        ("SHA256", Align::Left),
        ("WENT LIVE", Align::Left),
        ("HEALTH", Align::Left),
        ("STATE CAME", Align::Left),
    ];
    let mut slots: Vec<&Slot> = Vec::new();
    for generation in generations {
        if !slots.contains(&&generation.slot) {
            slots.push(&generation.slot);
        }
    }
    let of_slot = |slot: &Slot| generations.iter().rev().filter(move |generation| generation.slot == *slot).collect::<Vec<_>>();
    let rows = columns(&headings, slots.iter().flat_map(|slot| of_slot(slot)).map(|generation| row(generation, now)));
    let mut rows = rows.lines();
    let mut text = rows.next().map(|headings| format!("{headings}\n")).unwrap_or_default();
    for slot in &slots {
        text.push_str(&format!("{slot}\n"));
        text.extend(rows.by_ref().take(of_slot(slot).len()).map(|row| format!("{row}\n")));
    }
    text
}

fn row(generation: &SlotGeneration, now: u64) -> Vec<String> {
    let SlotGeneration { generation: number, name, version, digest, live, since_unix_ms, health, handover, .. } = generation;
    // One word each, because the swaps below give the reasons. Capitals show a problem without colour.
    let health = if health == "healthy" { health.clone() } else { first_word(health).to_uppercase() };
    let handover = if handover.is_empty() { "-" } else { first_word(handover) };
    vec![
        format!("  {number}"),
        if *live { "live" } else { "" }.to_owned(),
        label(name, version),
        clipped(&brief(digest), 64),
        ago(*since_unix_ms, now),
        clipped(&health, 64),
        clipped(handover, 64),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use host_api::OnFaults;
    use host_daemon::to_slot_limits;
    use host_model::Fallback;
    use host_plugin::Limits;

    use super::*;

    pub(in crate::plugin) fn generation(number: u64, live: bool) -> SlotGeneration {
        SlotGeneration {
            slot: Slot::Sampler,
            generation: number,
            name: "sampler-rate".into(),
            version: format!("0.{number}.0"),
            digest: format!("sha256:{}", "0".repeat(64)),
            live,
            since_unix_ms: 1_000_000 * number,
            health: "healthy".into(),
            handover: "warm".into(),
            config: serde_json::Map::from_iter([("ratio".to_owned(), 0.5.into())]),
            signer: None,
            limits: to_slot_limits(&Limits::default()),
            grants: vec!["clock".into(), "tables:process".into()],
            fallback: Fallback::Pass,
            on_faults: OnFaults::Previous,
        }
    }

    #[test]
    fn the_newest_generation_stands_first_and_the_live_one_is_marked() {
        let mut bad = generation(2, false);
        bad.health = "quarantined: 10 faults within 60s".into();
        bad.handover = "cold: import-state refused\x1b[2J".into();
        let swap = Swap {
            slot: "sampler".into(),
            from: "sampler-rate@0.2.0 (2)".into(),
            to: "sampler-rate@0.1.0 (1)".into(),
            pause_ns: 41_300,
            rows_during: 3,
            handover: "cold: export-state failed\x1b[2J".into(),
            reason: "quarantined: 10 faults within 60s".into(),
            unix_ms: 2_500_000,
        };
        let mut first = generation(1, true);
        first.handover = String::new();
        let history = History { generations: vec![first, bad], swaps: vec![swap] };
        let expected = "  \
  GEN  LIVE  PLUGIN              SHA256        WENT LIVE   HEALTH       STATE CAME
sampler
  2          sampler-rate@0.2.0  000000000000  10m00s ago  QUARANTINED  cold
  1    live  sampler-rate@0.1.0  000000000000  26m40s ago  healthy      -

swaps, the last one first:
  sampler: sampler-rate@0.2.0 (2) -> sampler-rate@0.1.0 (1), 1m40s ago, 41.3 us, cold, quarantined
    quarantined: 10 faults within 60s
    cold: export-state failed\u{fffd}[2J
";
        assert_eq!(history.table(2_600_000), expected);
    }

    #[test]
    fn a_history_of_healthy_generations_has_room_on_80_columns() {
        let history = History { generations: vec![generation(1, false), generation(2, true)], swaps: vec![] };
        let text = history.table(2_600_000);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
