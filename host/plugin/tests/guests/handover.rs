//! State that one generation hands to the next.

use host_model::{FaultKind, State};
use host_plugin::Setup;

use crate::{batch, curious, granted, sampler, schema, told};

#[test]
fn a_successor_goes_on_where_its_predecessor_stopped() {
    let mut old = sampler(Setup::default()).unwrap();
    old.decide(&batch(1)).unwrap();
    old.decide(&batch(1)).unwrap();
    let state = old.export_state().unwrap().unwrap();
    assert_eq!(state, State { version: 1, bytes: vec![2, 0, 0, 0] });
    let mut new = sampler(Setup::default()).unwrap();
    assert!(new.import_state(&state).unwrap());
    new.decide(&batch(1)).unwrap();
    assert_eq!(new.export_state().unwrap().unwrap().bytes, [3, 0, 0, 0]);
}

#[test]
fn a_successor_that_does_not_know_the_state_says_so_and_starts_cold() {
    let mut new = sampler(Setup::default()).unwrap();
    let fault = new.import_state(&State { version: 9, bytes: Vec::new() }).unwrap_err();
    assert_eq!((fault.kind, fault.step), (FaultKind::Refused, "import-state"));
    assert!(fault.detail.contains("version 9"), "{fault}");
    assert!(new.decide(&batch(1)).is_ok());
}

#[test]
fn a_predecessor_that_trapped_hands_over_nothing() {
    let mut old = sampler(told("trap")).unwrap();
    assert!(old.decide(&batch(1)).is_err());
    assert!(old.export_state().unwrap_err().detail.contains("gone"));
    assert_eq!(sampler(told("trap-in-export")).unwrap().export_state().unwrap_err().kind, FaultKind::Trap);
}

#[test]
fn a_plugin_without_the_interface_hands_over_nothing_and_takes_nothing() {
    let setup = granted(&["maps:a", "tables", "clock"]);
    let mut enricher = curious().enricher(curious().inspection().id("enricher.curious", 1), &schema(), setup).unwrap();
    assert_eq!(enricher.export_state().unwrap(), None);
    assert!(!enricher.import_state(&State { version: 1, bytes: Vec::new() }).unwrap());
}
