//! Limits of one call, beside time and memory: calls into the host, rows, state.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{FaultKind, Run, State};
use host_plugin::{Deadlines, Limits, Setup};

use crate::{batch, curious, decoder, granted, records, sampler, schema, told};

fn limited(way: &str, limits: Limits) -> Setup {
    Setup { limits, ..told(way) }
}

#[test]
fn a_guest_that_calls_the_host_without_end_is_stopped_by_their_number() {
    let mut sampler = sampler(told("ask-without-end")).unwrap();
    let fault = sampler.decide(&batch(1)).unwrap_err();
    assert_eq!((fault.kind, fault.step), (FaultKind::HostCalls, "decide"));
    assert!(fault.detail.contains("more than 10000 times in one call (`host_calls`)"), "{fault}");
    assert_eq!(sampler.stats().faults(FaultKind::HostCalls), 1);
    assert!(sampler.stats().host_calls.load(Relaxed) > 10_000);
    let tune = sampler.tune(&host_model::Stats::default());
    assert!(tune.is_ok(), "it is built again: {tune:?}");
}

#[test]
fn the_number_holds_for_one_call_and_begins_anew_with_the_next() {
    let limits = Limits { host_calls: 100, ..Limits::default() };
    let mut sampler = sampler(limited("ask-a-hundred-times", limits.clone())).unwrap();
    let bound = sampler.stats().host_calls.load(Relaxed);
    (0..3).for_each(|_| assert!(sampler.decide(&batch(1)).is_ok()));
    assert_eq!(sampler.stats().host_calls.load(Relaxed), bound + 300);
    let mut sampler = self::sampler(limited("ask-a-hundred-times", Limits { host_calls: 99, ..limits })).unwrap();
    assert_eq!(sampler.decide(&batch(1)).unwrap_err().kind, FaultKind::HostCalls);
}

#[test]
fn every_interface_counts() {
    for ask in ["table", "map", "write", "delete", "clock"] {
        let config = format!(r#"{{"ask": "{ask}", "name": "a", "column": "b"}}"#);
        let setup = Setup { config, ..granted(&["maps:a:rw", "tables", "clock"]) };
        let mut enricher = curious().enricher(curious().inspection().id("enricher.curious", 1), &schema(), setup).unwrap();
        let bound = enricher.stats().host_calls.load(Relaxed);
        enricher.enrich(&batch(1)).unwrap();
        assert!(enricher.stats().host_calls.load(Relaxed) > bound, "{ask}");
    }
}

#[test]
fn lines_over_the_rate_are_counted() {
    let mut sampler = sampler(told("noisy")).unwrap();
    sampler.decide(&batch(1)).unwrap();
    let left_out = sampler.stats().lines_left_out.load(Relaxed);
    assert!((900..=980).contains(&left_out), "{left_out}");
}

#[test]
fn an_instance_that_is_built_anew_has_no_more_lines_than_the_one_before_it() {
    let start = Instant::now();
    let limits = Limits { log_lines_per_second: 1, ..Limits::default() };
    let mut sampler = sampler(limited("say-why-and-trap", limits)).unwrap();
    (0..2).for_each(|_| assert!(sampler.decide(&batch(1)).is_err()));
    let left_out = sampler.stats().lines_left_out.load(Relaxed);
    assert!(left_out == 5 || start.elapsed() > Duration::from_secs(1), "{left_out} of 6 lines");
}

#[test]
fn a_run_becomes_at_most_so_many_rows() {
    let limits = Limits { output_rows: 2, ..Limits::default() };
    let mut decoder = decoder(Setup { limits, ..Setup::default() }).unwrap();
    assert!(decoder.decode(Run::parse(&records(2)).unwrap(), &[0]).is_ok());
    let fault = decoder.decode(Run::parse(&records(3)).unwrap(), &[0]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Output);
    assert!(fault.detail.contains("3 rows are more than a run may become (`output_rows`)"), "{fault}");
}

#[test]
fn a_state_over_its_cap_is_not_copied_and_not_handed_over() {
    let fault = sampler(told("state-of-5-mib")).unwrap().export_state().unwrap_err();
    assert_eq!((fault.kind, fault.step), (FaultKind::Output, "export-state"));
    assert!(fault.detail.contains("larger than the 4194304 bytes"), "{fault}");
    let roomy = Limits { state_bytes: 5 << 20, ..Limits::default() };
    assert_eq!(sampler(limited("state-of-5-mib", roomy)).unwrap().export_state().unwrap().unwrap().bytes.len(), 5 << 20);
    let just_too_small = Limits { state_bytes: 3, ..Limits::default() };
    let fault = sampler(limited("", just_too_small)).unwrap().export_state().unwrap_err();
    assert!(fault.detail.contains("larger than the 3 bytes"), "{fault}");
}

#[test]
fn a_large_state_does_not_need_a_large_output() {
    let limits = Limits { output_bytes: 1 << 10, state_bytes: 5 << 20, ..Limits::default() };
    let mut sampler = sampler(limited("state-of-5-mib huge-output", limits)).unwrap();
    assert!(sampler.export_state().is_ok());
    assert_eq!(sampler.decide(&batch(1)).unwrap_err().kind, FaultKind::Output);
}

#[test]
fn a_state_over_the_successors_cap_is_not_handed_in() {
    let limits = Limits { state_bytes: 3, ..Limits::default() };
    let mut sampler = sampler(limited("", limits)).unwrap();
    let fault = sampler.import_state(&State { version: 1, bytes: vec![0; 4] }).unwrap_err();
    assert_eq!((fault.kind, fault.step), (FaultKind::Refused, "import-state"));
    assert!(fault.detail.contains("has 4 bytes; it may be handed 3 (`state_bytes`)"), "{fault}");
    assert_eq!(sampler.stats().offences(), 0);
    assert!(sampler.decide(&batch(1)).is_ok());
}

#[test]
fn a_predecessor_that_never_hands_over_is_stopped_at_its_own_deadline() {
    let deadlines = Deadlines { handover: Duration::from_millis(60), ..Deadlines::default() };
    let mut sampler = sampler(limited("loop-in-export", Limits { deadlines, ..Limits::default() })).unwrap();
    let fault = sampler.export_state().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Deadline);
    assert!(fault.detail.contains("within 60 ms"), "{fault}");
}

#[test]
fn what_a_guest_said_last_as_an_error_explains_its_trap() {
    let mut sampler = sampler(told("say-why-and-trap")).unwrap();
    let fault = sampler.decide(&batch(1)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.detail.ends_with("; it said \"\u{fffd}[31mthe ring is square\""), "{fault}");
}
