//! Instances whose memory has grown.

use std::sync::atomic::Ordering::Relaxed;

use host_model::{FaultKind, Health, Run, Sampler};
use host_plugin::{Limits, Setup};

use crate::{batch, decoder, records, sampler, told};

const MARK: usize = 16 << 20;

fn growing(way: &str) -> Setup {
    Setup { limits: Limits { recycle_bytes: MARK, ..Limits::default() }, ..told(way) }
}

/// Calls a sampler that grows; then calls it again, so that it is replaced before that call.
fn grown_and_called_again(way: &str) -> Box<dyn Sampler> {
    let mut sampler = sampler(growing(way)).unwrap();
    sampler.decide(&batch(1)).unwrap();
    assert!(sampler.stats().memory_bytes.load(Relaxed) > MARK as u64);
    assert_eq!(sampler.stats().recycled.load(Relaxed), 0);
    sampler.tune(&host_model::Stats::default()).unwrap();
    sampler
}

/// Returns the guest's call count, read from its state.
fn calls(sampler: &mut dyn Sampler) -> u32 {
    u32::from_le_bytes(sampler.export_state().unwrap().unwrap().bytes.try_into().unwrap())
}

#[test]
fn an_instance_above_the_mark_is_replaced_and_keeps_its_state() {
    let mut sampler = grown_and_called_again("spike");
    let stats = sampler.stats().clone();
    assert_eq!(stats.recycled.load(Relaxed), 1);
    assert!(stats.memory_bytes.load(Relaxed) < MARK as u64);
    assert_eq!((stats.offences(), stats.health()), (0, Health::Live));
    assert_eq!(calls(&mut *sampler), 1);
}

#[test]
fn one_that_grows_with_every_batch_is_replaced_once_a_second_and_serves_every_batch() {
    let mut sampler = grown_and_called_again("spike");
    (0..100).for_each(|_| drop(sampler.decide(&batch(1)).unwrap()));
    assert!((1..=3).contains(&sampler.stats().recycled.load(Relaxed)));
    assert_eq!(calls(&mut *sampler), 101);
}

#[test]
fn one_that_cannot_hand_over_starts_cold_and_no_batch_is_lost() {
    for (way, kind) in [
        ("spike trap-in-export", FaultKind::Trap),
        ("spike no-state", FaultKind::Refused),
        ("spike trap-in-import", FaultKind::Trap),
        ("spike state-of-5-mib", FaultKind::Output),
    ] {
        let sampler = grown_and_called_again(way);
        let stats = sampler.stats();
        assert_eq!((stats.recycled.load(Relaxed), stats.faults(kind), stats.health()), (1, 1, Health::Live), "{way}");
        assert!(stats.memory_bytes.load(Relaxed) < MARK as u64, "{way}");
    }
}

#[test]
fn one_that_is_born_above_the_mark_is_left_alone() {
    let limits = Limits { recycle_bytes: 1, ..Limits::default() };
    let mut sampler = sampler(Setup { limits, ..Setup::default() }).unwrap();
    (0..3).for_each(|_| drop(sampler.decide(&batch(1)).unwrap()));
    assert_eq!(sampler.stats().recycled.load(Relaxed), 0);
}

#[test]
fn a_run_that_is_to_be_completed_keeps_its_instance() {
    let mut decoder = decoder(growing("spike")).unwrap();
    let bytes = records(3);
    decoder.decode(Run::parse(&bytes).unwrap(), &[0]).unwrap();
    assert!(decoder.stats().memory_bytes.load(Relaxed) > MARK as u64);
    assert_eq!(decoder.complete(&[0, 2], &[2]).unwrap()[0].len(), 2);
    assert_eq!(decoder.stats().recycled.load(Relaxed), 0);
    decoder.decode(Run::parse(&bytes).unwrap(), &[0]).unwrap();
    assert_eq!(decoder.stats().recycled.load(Relaxed), 1);
}
