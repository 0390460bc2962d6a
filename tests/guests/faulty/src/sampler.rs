//! Keeps slow rows and one in `N` of the others, by the first two u64 columns: duration and hash.

use crate::exports::probe::plugin::sampler::{Column, Decisions, EventSchema, Guest, KernelPlan, Rule, Stats, Subject};
use crate::probe::plugin::columns::ColumnType;
use crate::{Faulty, forever, hoard, misbehave, told, trap};

const NEVER: u64 = 1 << 56;

impl Guest for Faulty {
    fn bind(schema: EventSchema, _config: String) -> Result<Vec<u32>, String> {
        if told("trap-in-bind") {
            trap();
        } else if told("loop-in-bind") {
            forever();
        } else if told("hoard-in-bind") {
            hoard();
        } else if told("refuse") {
            return Err("`ratio` must be between 0 and 1\x07".into());
        } else if told("want-what-is-not-there") {
            return Ok(vec![999]);
        }
        let is_u64 = |index: &u32| schema.fields[*index as usize].column_type == ColumnType::U64;
        Ok((0..schema.fields.len() as u32).filter(is_u64).take(2).collect())
    }

    fn decide(rows: u32, columns: Vec<Column>) -> Result<Decisions, String> {
        misbehave()?;
        let [Column::U64(durations), Column::U64(hashes)] = columns.as_slice() else {
            return Err("two u64 columns are wanted".into());
        };
        let keep = |(&duration, &hash): (&u64, &u64)| if duration > 1_000_000 || hash % 10 == 0 { 0 } else { NEVER };
        let mut thresholds: Vec<u64> = durations.iter().zip(hashes).map(keep).collect();
        let mut randomness = Vec::new();
        if told("three-thresholds") {
            thresholds = vec![0; 3];
        } else if told("short-randomness") {
            randomness = vec![0; rows as usize - 1];
        } else if told("huge-output") {
            thresholds = vec![0; 4 << 20];
        }
        Ok(Decisions { thresholds, randomness })
    }

    fn tune(stats: Stats) -> Option<KernelPlan> {
        let rule = Rule { subject: Subject::Comm("make".into()), threshold: NEVER };
        let rules = if told("long-plan") { 2000 } else { 1 };
        (stats.lost_in_ring > 0).then(|| KernelPlan {
            default_threshold: NEVER / 2,
            rules: vec![rule; rules],
            min_duration_ns: stats.elapsed_ns,
        })
    }
}
