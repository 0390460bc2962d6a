//! The reader: losses are exact, waits end when they should and cost nothing meanwhile.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use host_kernel::LoadOptions;

use crate::reading::{Probe, by_comm, on_thread, start};

/// Whether the sum of received and waiting records lies between the counters before and after.
fn bounds_meet(probe: &mut Probe, received: u64) -> bool {
    let (before, waiting) = (probe.source.counters(), probe.source.waiting_records());
    let (seen, after) = (received + waiting, probe.source.counters());
    before.produced - after.lost <= seen && seen <= after.produced - before.lost
}

#[test]
fn a_full_ring_loses_exactly_what_the_counters_say_needs_root() {
    needs_root!();
    let options = LoadOptions { ring_bytes: Some(4096), ..by_comm("load-overflow") };
    let mut probe = start("file", &options);
    assert_eq!(probe.loaded.ring_bytes(), 4096);
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            let load = move || {
                let mut opens = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    drop(File::open("/proc/version").unwrap());
                    opens += 1;
                }
                opens
            };
            thread::Builder::new().name("load-overflow".into()).spawn(load).unwrap()
        })
        .collect();
    // The reader takes a few records now and then, so most are lost, at every fill of the ring and across its end.
    let mut received = 0;
    for _ in 0..500 {
        received += u64::from(probe.source.run(7, 1000).records);
        probe.source.release();
        probe.source.wait(usize::MAX, Duration::from_micros(50));
        assert!((0..8).any(|_| bounds_meet(&mut probe, received)), "{:?}", probe.source.counters());
    }
    // On a busy machine the reader may have kept up until here.
    let begun = Instant::now();
    while probe.source.counters().lost == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", probe.source.counters());
        thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    let opens: u64 = loads.into_iter().map(|load| load.join().unwrap()).sum();
    received += probe.drain().len() as u64;
    let counters = probe.source.counters();
    assert_eq!(counters.produced, opens);
    assert_eq!(received + counters.lost, counters.produced);
}

#[test]
fn a_wait_ends_when_enough_bytes_are_there_and_not_before_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-wait"));
    let begun = Instant::now();
    probe.source.wait(1, Duration::from_millis(30));
    assert!(begun.elapsed() >= Duration::from_millis(30), "nothing is there");
    let ready = Arc::new(Barrier::new(2));
    let gate = ready.clone();
    let load = thread::Builder::new().name("load-wait".into()).spawn(move || {
        gate.wait();
        (0..2_000).for_each(|_| drop(File::open("/proc/version").unwrap()));
    });
    ready.wait();
    let begun = Instant::now();
    probe.source.wait(64 * 1024, Duration::from_secs(10));
    assert!(begun.elapsed() < Duration::from_secs(5), "the reader was not woken");
    assert!(probe.source.waiting_bytes() >= 64 * 1024);
    load.unwrap().join().unwrap();
    let begun = Instant::now();
    probe.source.wait(64 * 1024, Duration::from_secs(10));
    assert!(begun.elapsed() < Duration::from_secs(1), "it was there already");
}

#[test]
fn a_waker_ends_a_wait_from_another_thread_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-waker"));
    let waker = probe.source.waker();
    waker.wake();
    let begun = Instant::now();
    probe.source.wait(1, Duration::from_secs(10));
    let other = thread::spawn(move || waker.wake());
    probe.source.wait(1, Duration::from_secs(10));
    assert!(begun.elapsed() < Duration::from_secs(5));
    other.join().unwrap();
}

#[test]
fn a_run_stays_the_same_until_it_is_released_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-same"));
    let open = || on_thread("load-same", || drop(File::open("/proc/version").unwrap()));
    open();
    let first = probe.source.run(10, 10_000).bytes.to_vec();
    open();
    assert_eq!(probe.source.run(10, 10_000).bytes, first);
    assert_eq!(probe.source.waiting_records(), 2);
    probe.source.release();
    assert_eq!(probe.source.waiting_records(), 1);
    assert_eq!(probe.source.run(10, 10_000).records, 1);
}

#[test]
fn detached_probes_write_no_more_and_can_be_read_to_the_end_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-detach"));
    let open = || on_thread("load-detach", || drop(File::open("/proc/version").unwrap()));
    open();
    drop(probe.loaded);
    open();
    assert_eq!(probe.source.run(10, 10_000).records, 1);
}

#[test]
fn a_ring_has_one_reader_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-reader"));
    let error = probe.loaded.source().err().unwrap().to_string();
    assert!(error.contains("reader already"), "{error}");
}
