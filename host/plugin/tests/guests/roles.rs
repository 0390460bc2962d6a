//! Guests that behave.

use std::sync::atomic::Ordering::Relaxed;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use host_model::{NEVER, Role, Run, Stats, Subject};
use host_plugin::{Setup, inspect};

use crate::{batch, build, decoder, enricher, faulty, records, sampler};

#[test]
fn name_version_and_roles_are_read_from_the_bytes() {
    let inspection = inspect(build::faulty()).unwrap();
    assert_eq!((inspection.name.as_str(), inspection.version.as_str()), ("faulty", "1.2.3"));
    assert_eq!(inspection.roles.len(), 3);
    assert!(inspection.roles.contains(&Role::Sampler));
    assert!(inspection.handover);
    assert_eq!(inspection.contract, "0.1.0");
    assert_eq!(inspection.imports, ["probe:plugin/log@0.1.0", "probe:plugin/config@0.1.0"]);
    assert!(inspection.digest.to_string().starts_with("sha256:"));
}

#[test]
fn a_sampler_gives_each_row_the_threshold_that_native_code_would() {
    let mut sampler = sampler(Setup::default()).unwrap();
    assert_eq!(sampler.wanted(), [0, 1]);
    let decisions = sampler.decide(&batch(1000)).unwrap();
    let expected: Vec<u64> = (0..1000u64).map(|row| if row * 7 % 10 == 0 { 0 } else { NEVER.get() }).collect();
    assert_eq!(decisions.thresholds, expected);
    assert!(decisions.randomness.is_empty());
}

#[test]
fn calls_rows_time_and_memory_are_counted() {
    let mut sampler = sampler(Setup::default()).unwrap();
    for rows in [1, 10, 100] {
        sampler.decide(&batch(rows)).unwrap();
    }
    let stats = sampler.stats();
    assert_eq!((stats.calls.load(Relaxed), stats.rows.load(Relaxed), stats.offences()), (3, 111, 0));
    assert!(stats.total_ns.load(Relaxed) > 0);
    assert!(stats.memory_bytes.load(Relaxed) >= 64 << 10, "{}", stats.memory_bytes.load(Relaxed));
}

#[test]
fn a_sampler_answers_with_a_plan_for_the_kernel() {
    let mut sampler = sampler(Setup::default()).unwrap();
    assert_eq!(sampler.tune(&Stats::default()).unwrap(), None);
    let plan = sampler.tune(&Stats { lost_in_ring: 1, elapsed_ns: 77, ..Stats::default() }).unwrap().unwrap();
    assert_eq!(plan.min_duration_ns, 77);
    assert_eq!(plan.rules[0].subject, Subject::Comm("make".into()));
    assert_eq!(plan.rules[0].threshold, NEVER);
}

#[test]
fn a_decoder_makes_the_columns_that_are_asked_for_and_the_others_for_kept_rows() {
    let mut decoder = decoder(Setup::default()).unwrap();
    assert_eq!(decoder.schema().event, "test.event");
    assert_eq!(decoder.schema().metrics.len(), 1);
    let mut bytes = records(3);
    Run::push(&mut bytes, b"short");
    let decoded = decoder.decode(Run::parse(&bytes).unwrap(), &[0, 1]).unwrap();
    assert_eq!((decoded.batch.rows, decoded.undecodable.as_slice()), (3, [3].as_slice()));
    assert_eq!(decoded.batch.column(1).unwrap().as_primitive::<UInt64Type>().values(), &[0, 7, 14]);
    assert!(decoded.batch.column(2).is_none());
    let paths = decoder.complete(&[0, 2], &[2]).unwrap();
    assert_eq!(paths[0].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["/file/0", "/file/2"]);
}

#[test]
fn an_enricher_adds_a_column_with_a_value_for_each_row() {
    let mut enricher = enricher(Setup::default()).unwrap();
    assert_eq!((enricher.wanted(), enricher.added()[0].name.as_str()), ([0].as_slice(), "guest.note"));
    let columns = enricher.enrich(&batch(3)).unwrap();
    assert_eq!(columns[0].as_string::<i32>().value(2), "row 2");
    assert_eq!(columns[0].len(), 3);
}

#[test]
fn a_slice_of_a_batch_crosses_as_its_own_rows() {
    let whole = batch(10);
    let mut slice = whole.clone();
    slice.rows = 4;
    slice.columns = whole.columns.iter().map(|column| column.as_ref().map(|column| column.slice(6, 4))).collect();
    let decisions = sampler(Setup::default()).unwrap().decide(&slice).unwrap();
    let expected: Vec<u64> = (6..10u64).map(|row| if row * 7 % 10 == 0 { 0 } else { NEVER.get() }).collect();
    assert_eq!(decisions.thresholds, expected);
}

#[test]
fn a_batch_without_a_wanted_column_is_refused_before_the_guest_is_called() {
    let mut batch = batch(3);
    batch.columns[1] = None;
    let mut sampler = sampler(Setup::default()).unwrap();
    assert!(sampler.decide(&batch).is_err());
    assert_eq!(sampler.stats().calls.load(Relaxed), 0);
}

#[test]
fn one_compiled_component_serves_several_paths_with_memories_of_their_own() {
    let (mut one, mut two) = (sampler(Setup::default()).unwrap(), sampler(Setup::default()).unwrap());
    one.decide(&batch(5)).unwrap();
    let state = one.export_state().unwrap().unwrap();
    let other = two.export_state().unwrap().unwrap();
    assert_eq!((state.bytes, other.bytes), (vec![1, 0, 0, 0], vec![0, 0, 0, 0]));
    assert_eq!(one.id().to_string(), format!("{} (sampler, generation 1)", faulty().inspection().label()));
}
