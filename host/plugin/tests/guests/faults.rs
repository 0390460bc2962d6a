//! Guests that fail while events flow.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{Fault, FaultKind, Health, Run};
use host_plugin::limits::ERRORS_IN_A_ROW;
use host_plugin::{Component, Deadlines, Limits, Setup};

use crate::{batch, decoder, records, sampler, schema, told};

fn fault<T>(result: Result<T, Fault>) -> Fault {
    let Err(fault) = result else { panic!("the call did not fail") };
    assert!(!fault.to_string().chars().any(char::is_control), "{fault:?}");
    fault
}

fn in_time(millis: u64) -> Limits {
    Limits { deadlines: Deadlines::calls(Duration::from_millis(millis)), ..Limits::default() }
}

#[test]
fn after_a_trap_the_instance_is_built_again_and_the_next_call_works() {
    let mut sampler = sampler(told("trap-on-second-call")).unwrap();
    sampler.decide(&batch(3)).unwrap();
    let trap = fault(sampler.decide(&batch(3)));
    assert_eq!((trap.kind, trap.step), (FaultKind::Trap, "decide"));
    assert!(trap.detail.contains("unreachable"), "{trap}");
    assert_eq!(sampler.stats().memory_bytes.load(Relaxed), 0);
    assert_eq!(sampler.decide(&batch(3)).unwrap().thresholds.len(), 3);
    assert!(sampler.stats().memory_bytes.load(Relaxed) > 0);
    assert_eq!(sampler.stats().offences(), 1);
}

#[test]
fn a_plugin_that_traps_again_and_again_is_left_alone_and_then_called_again() {
    let mut sampler = sampler(told("trap")).unwrap();
    let kinds: Vec<FaultKind> = (0..4).map(|_| fault(sampler.decide(&batch(1))).kind).collect();
    assert_eq!(kinds, [FaultKind::Trap, FaultKind::Trap, FaultKind::Trap, FaultKind::BackingOff]);
    let rest = fault(sampler.decide(&batch(1)));
    assert!(rest.detail.contains("after 3 faults it is left alone for 100 ms"), "{rest}");
    let calls = sampler.stats().calls.load(Relaxed);
    let end = Instant::now() + Duration::from_secs(10);
    while fault(sampler.decide(&batch(1))).kind == FaultKind::BackingOff {
        assert!(Instant::now() < end, "the rest does not end");
        std::thread::yield_now();
    }
    assert_eq!(sampler.stats().calls.load(Relaxed), calls + 1);
    assert_eq!(sampler.stats().offences(), 4);
}

#[test]
fn an_endless_loop_is_stopped_at_its_deadline() {
    let mut sampler = sampler(Setup { limits: in_time(50), ..told("loop") }).unwrap();
    let start = Instant::now();
    let late = fault(sampler.decide(&batch(1)));
    assert_eq!(late.kind, FaultKind::Deadline);
    assert!(late.detail.contains("within 50 ms"), "{late}");
    assert!((Duration::from_millis(50)..Duration::from_secs(2)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn memory_over_the_cap_is_a_trap_that_says_so() {
    let limits = Limits { memory_bytes: 8 << 20, ..Limits::default() };
    let mut sampler = sampler(Setup { limits, ..told("hoard") }).unwrap();
    let trap = fault(sampler.decide(&batch(1)));
    assert_eq!(trap.kind, FaultKind::Trap);
    assert!(trap.detail.contains("more than the 8 MiB of memory"), "{trap}");
}

#[test]
fn the_message_of_a_panic_is_in_the_fault_of_a_plugin_that_was_made_with_the_sdk() {
    let component = Component::compile(&crate::ENGINE, &crate::build::panicky(), "file").unwrap();
    let mut sampler = component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default()).unwrap();
    let panic = fault(sampler.decide(&batch(3)));
    assert_eq!(panic.kind, FaultKind::Trap);
    assert!(panic.detail.contains("it said \"panicked at"), "{panic}");
    assert!(panic.detail.contains("[2J3 rows are too many"), "{panic}");
}

#[test]
fn a_guest_that_recurses_without_end_traps() {
    let mut sampler = sampler(told("recurse")).unwrap();
    assert_eq!(fault(sampler.decide(&batch(1))).kind, FaultKind::Trap);
}

#[test]
fn output_over_the_cap_is_not_copied() {
    let mut sampler = sampler(told("huge-output")).unwrap();
    let huge = fault(sampler.decide(&batch(1)));
    assert_eq!(huge.kind, FaultKind::Output);
    assert!(huge.detail.contains("`output_bytes`"), "{huge}");
}

#[test]
fn an_error_of_the_guests_own_neither_traps_nor_rebuilds() {
    let mut sampler = sampler(told("error")).unwrap();
    for _ in 0..10 {
        let refused = fault(sampler.decide(&batch(1)));
        assert_eq!((refused.kind, refused.detail.as_str()), (FaultKind::Refused, "\u{fffd}[31mnot today"));
    }
    assert_eq!(sampler.stats().offences(), 0);
    assert_eq!(sampler.export_state().unwrap().unwrap().bytes, [10, 0, 0, 0]);
}

#[test]
fn an_error_that_is_always_returned_has_the_consequences_of_a_fault() {
    let mut sampler = sampler(told("error")).unwrap();
    for _ in 1..ERRORS_IN_A_ROW {
        assert_eq!(fault(sampler.decide(&batch(1))).kind, FaultKind::Refused);
        assert_eq!(sampler.stats().health(), Health::Live);
    }
    let first = fault(sampler.decide(&batch(1)));
    assert_eq!(first.kind, FaultKind::Refused);
    assert!(first.detail.ends_with("not today; it has returned an error 100 times in a row"), "{first}");
    let kinds: Vec<FaultKind> = (0..10).map(|_| fault(sampler.decide(&batch(1))).kind).collect();
    assert!(kinds.contains(&FaultKind::BackingOff), "{kinds:?}");
    assert_eq!(sampler.stats().health(), Health::BackingOff);
}

#[test]
fn what_one_function_returns_does_not_make_up_for_the_errors_of_another() {
    let mut sampler = sampler(told("error")).unwrap();
    (1..ERRORS_IN_A_ROW).for_each(|_| assert!(sampler.decide(&batch(1)).is_err()));
    assert!(sampler.tune(&host_model::Stats::default()).is_ok());
    assert!(fault(sampler.decide(&batch(1))).detail.contains("100 times in a row"));
}

#[test]
fn a_run_that_was_not_decoded_cannot_be_completed() {
    let mut decoder = decoder(told("trap-on-second-call")).unwrap();
    let bytes = records(3);
    let run = Run::parse(&bytes).unwrap();
    assert!(decoder.complete(&[0], &[2]).is_err());
    decoder.decode(run, &[0]).unwrap();
    assert_eq!(fault(decoder.decode(run, &[0])).kind, FaultKind::Trap);
    assert!(fault(decoder.complete(&[0], &[2])).detail.contains("no decoded run"));
    assert!(decoder.decode(run, &[0]).is_ok());
}

#[test]
fn a_trap_in_complete_costs_only_this_run() {
    let mut decoder = decoder(told("trap-in-complete")).unwrap();
    let bytes = records(3);
    let run = Run::parse(&bytes).unwrap();
    decoder.decode(run, &[0]).unwrap();
    assert_eq!(fault(decoder.complete(&[0], &[2])).kind, FaultKind::Trap);
    assert_eq!(decoder.decode(run, &[0, 2]).unwrap().batch.rows, 3);
}

#[test]
fn a_noisy_guest_neither_fails_nor_slows_the_path_to_its_deadline() {
    let mut sampler = sampler(told("noisy")).unwrap();
    assert!(sampler.decide(&batch(1)).is_ok());
}

#[test]
fn instances_come_and_go_without_an_end() {
    for _ in 0..600 {
        let mut sampler = sampler(Setup::default()).unwrap();
        sampler.decide(&batch(1)).unwrap();
    }
}
