//! Answers that break the contract. Each is found, named and counted; the instance lives on.

use host_model::{Fault, FaultKind, Run, Stats};

use crate::{batch, decoder, enricher, records, sampler, told};

#[track_caller]
fn breach(fault: Fault, words: &str) {
    assert_eq!(fault.kind, FaultKind::Contract, "{fault}");
    assert!(fault.detail.contains(words), "{fault}");
}

#[track_caller]
fn lying_decoder(way: &str, words: &str) {
    let mut decoder = decoder(told(way)).unwrap();
    let bytes = records(3);
    breach(decoder.decode(Run::parse(&bytes).unwrap(), &[0, 2]).unwrap_err(), words);
    assert_eq!(decoder.stats().offences(), 1);
}

#[test]
fn a_lying_row_count_is_refused() {
    lying_decoder("lie-about-rows", "column `time` has 3 values, there are 4 rows");
    breach(enricher(told("lie-about-rows")).unwrap().enrich(&batch(3)).unwrap_err(), "`guest.note` has 5 offsets for 3 rows");
}

#[test]
fn a_column_of_another_type_is_refused() {
    lying_decoder("wrong-type", "column `time` is of type U32, its field says U64");
}

#[test]
fn a_missing_column_is_refused() {
    lying_decoder("a-column-less", "1 columns where 2 were asked for");
}

#[test]
fn offsets_that_fall_are_refused() {
    lying_decoder("offsets-fall", "offsets of column `file.path` fall");
}

#[test]
fn offsets_past_the_end_are_refused() {
    lying_decoder("offsets-past-the-end", "the last offset of column `file.path`");
}

#[test]
fn a_character_split_between_two_rows_is_refused() {
    lying_decoder("split-character", "`file.path` is not UTF-8");
}

#[test]
fn an_undecodable_record_beyond_the_run_is_refused() {
    lying_decoder("undecodable-beyond-the-run", "not among the 3 of the run");
}

#[test]
fn four_thousand_million_rows_without_columns_are_refused() {
    let mut decoder = decoder(told("endless-rows")).unwrap();
    let bytes = records(3);
    let fault = decoder.decode(Run::parse(&bytes).unwrap(), &[]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Output, "{fault}");
}

#[test]
fn thresholds_and_randomness_of_another_length_are_refused() {
    breach(sampler(told("three-thresholds")).unwrap().decide(&batch(5)).unwrap_err(), "3 thresholds for 5 rows");
    breach(sampler(told("short-randomness")).unwrap().decide(&batch(5)).unwrap_err(), "4 values of randomness for 5 rows");
}

#[test]
fn a_plan_with_too_many_rules_is_refused() {
    let stats = Stats { lost_in_ring: 1, ..Stats::default() };
    breach(sampler(told("long-plan")).unwrap().tune(&stats).unwrap_err(), "2000 rules");
}

#[test]
fn a_liar_keeps_its_instance() {
    let mut sampler = sampler(told("three-thresholds")).unwrap();
    assert!(sampler.decide(&batch(5)).is_err());
    assert!(sampler.decide(&batch(3)).is_ok());
    assert_eq!(sampler.export_state().unwrap().unwrap().bytes, [2, 0, 0, 0]);
}
