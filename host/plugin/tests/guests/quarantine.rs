//! Guests that are quarantined, and guests that are not.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::{FaultKind, Health, State};
use host_plugin::{Component, Engine, Limits, Quarantine, Setup};

use crate::{batch, build, sampler, schema, told};

fn after(faults: u32, way: &str) -> Setup {
    let quarantine = Some(Quarantine { faults, window: Duration::from_secs(60) });
    Setup { limits: Limits { quarantine, ..Limits::default() }, ..told(way) }
}

#[test]
fn after_so_many_offences_a_plugin_is_not_called_any_more() {
    let mut sampler = sampler(after(2, "trap")).unwrap();
    let mut fault = || sampler.decide(&batch(1)).unwrap_err();
    assert_eq!([fault().kind, fault().kind], [FaultKind::Trap, FaultKind::Trap]);
    let given_up = fault();
    assert_eq!((given_up.kind, given_up.step), (FaultKind::Quarantined, "decide"));
    assert!(given_up.detail.contains("quarantined after 2 faults within 60 s"), "{given_up}");
    let stats = sampler.stats().clone();
    assert_eq!((stats.health(), stats.memory_bytes.load(Relaxed), stats.calls.load(Relaxed)), (Health::Quarantined, 0, 2));
    assert_eq!(sampler.export_state().unwrap_err().kind, FaultKind::Quarantined);
    assert_eq!(sampler.import_state(&State { version: 1, bytes: Vec::new() }).unwrap_err().kind, FaultKind::Quarantined);
    assert_eq!((stats.offences(), stats.faults(FaultKind::Quarantined)), (2, 3));
}

#[test]
fn a_liar_is_given_up_as_well_and_its_instance_goes() {
    let mut sampler = sampler(after(1, "three-thresholds")).unwrap();
    assert_eq!(sampler.decide(&batch(5)).unwrap_err().kind, FaultKind::Contract);
    assert_eq!(sampler.decide(&batch(3)).unwrap_err().kind, FaultKind::Quarantined);
    assert_eq!(sampler.stats().memory_bytes.load(Relaxed), 0);
}

#[test]
fn errors_of_its_own_are_answers_unless_there_is_nothing_else() {
    let mut sampler = sampler(after(1, "error")).unwrap();
    (0..99).for_each(|_| assert_eq!(sampler.decide(&batch(1)).unwrap_err().kind, FaultKind::Refused));
    assert_eq!(sampler.stats().health(), Health::Live);
}

#[test]
fn without_a_quarantine_it_rests_and_is_tried_again_for_ever() {
    let limits = Limits { quarantine: None, ..Limits::default() };
    let mut sampler = sampler(Setup { limits, ..told("trap") }).unwrap();
    let stats = sampler.stats().clone();
    let end = Instant::now() + Duration::from_secs(30);
    while stats.offences() < 6 {
        assert!(Instant::now() < end, "it is not tried again");
        assert!(sampler.decide(&batch(1)).is_err());
    }
    assert_eq!(stats.health(), Health::BackingOff);
}

#[test]
fn health_says_resting_and_then_live_again() {
    let mut sampler = sampler(told("three-thresholds")).unwrap();
    let stats = sampler.stats().clone();
    assert_eq!(stats.health(), Health::Live);
    (0..3).for_each(|_| assert!(sampler.decide(&batch(5)).is_err()));
    assert_eq!(stats.health(), Health::BackingOff);
    let end = Instant::now() + Duration::from_secs(10);
    while sampler.decide(&batch(3)).is_err() {
        assert!(Instant::now() < end, "the rest does not end");
        std::thread::yield_now();
    }
    assert_eq!(stats.health(), Health::Live);
}

#[test]
fn a_plugin_without_a_place_in_a_full_host_waits_for_one_and_is_not_blamed() {
    let engine = Engine::new().unwrap();
    let component = Component::compile(&engine, build::faulty(), "given").unwrap();
    let bind = |setup| component.sampler(component.inspection().id("sampler", 1), &schema(), setup);
    let mut unlucky = bind(told("trap-on-second-call")).unwrap();
    let mut others = Vec::new();
    while let Ok(other) = bind(Setup::default()) {
        others.push(other);
    }
    unlucky.decide(&batch(1)).unwrap();
    unlucky.decide(&batch(1)).unwrap_err();
    others.push(bind(Setup::default()).unwrap());
    for _ in 0..100 {
        let waits = unlucky.decide(&batch(1)).unwrap_err();
        assert_eq!(waits.kind, FaultKind::BackingOff, "{waits}");
    }
    assert_eq!((unlucky.stats().offences(), unlucky.stats().health()), (1, Health::Live));
    others.pop();
    assert!(unlucky.decide(&batch(1)).is_ok());
}
