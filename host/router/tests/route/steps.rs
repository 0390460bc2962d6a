//! In step: a replay in which every lane finishes a run before the next is read.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_model::Source;
use host_router::route;

use crate::rig::{Maps, Record, TICK, Wire, sent, talk, trunk, until, whole};

type Seen = Arc<Mutex<Vec<(&'static str, u8, u64)>>>;

/// A path: reads a lane to its end and logs what it saw, in the order of all paths.
fn follow(name: &'static str, mut lane: Box<dyn Source>, seen: &Seen, foreign: u64) -> std::thread::JoinHandle<u64> {
    let seen = Arc::clone(seen);
    std::thread::spawn(move || {
        while !lane.ended() {
            lane.wait(1 << 18, Duration::from_millis(50));
            while lane.waiting_bytes() > 0 {
                let records: Vec<Record> = lane.run(10, 1 << 18).iter().map(Record::read).collect();
                let lines = records.iter().map(|record| (name, record.kind, record.connection));
                seen.lock().unwrap().extend(lines);
                if records.iter().any(|record| record.connection == foreign) {
                    lane.give_back(&[whole(foreign)]);
                }
                lane.release();
            }
        }
        lane.counters().lost
    })
}

/// Replays the same records.
fn replay() -> Vec<(&'static str, u8, u64)> {
    let (wire, maps, seen) = (Wire::default(), Arc::new(Maps::default()), Seen::default());
    for second in 0..5_u64 {
        let time_ns = second * 900_000_000;
        wire.push((0..200).map(|number| {
            let payload: &[u8] = if number % 3 == 0 { b"GET " } else { b"PUT " };
            Record { time_ns: time_ns + number, ..sent(second * 200 + number, payload) }
        }));
    }
    wire.ended.store(true, SeqCst);
    let talks = vec![talk("get", b"GET ").boxed(), talk("put", b"PUT ").boxed(), talk("late", b"PUT ").boxed()];
    let (router, lanes) = route(trunk(&wire, &maps, &[], true), talks).unwrap();
    let names = ["get", "put", "late"];
    let paths: Vec<_> = names
        .into_iter()
        .zip(lanes)
        .map(|(name, lane)| follow(name, lane, &seen, if name == "put" { 301 } else { u64::MAX }))
        .collect();
    until("all is read", || router.finished());
    assert_eq!(paths.into_iter().map(|path| path.join().unwrap()).sum::<u64>(), 0, "nothing is lost");
    let ledger = router.stop();
    assert!(ledger.balanced() && ledger.routed - ledger.taken_back == 1000, "{ledger:?}");
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[test]
fn the_same_records_give_the_same_order_again() {
    let first = replay();
    assert!(first == replay());
    assert!(first.contains(&("late", 0, 301)) && first.contains(&("put", 0, 301)), "a mistake is corrected on the way");
    let ticks = first.iter().filter(|(name, kind, _)| *name == "get" && *kind == TICK).count();
    assert_eq!(ticks, 2, "time is that of the records");
}
