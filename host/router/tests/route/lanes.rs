//! Lanes that are added and removed, and the records that the router itself writes into them.

use std::time::Duration;

use host_router::RouteError;

use crate::rig::{FLUSH, Record, TICK, end, read, rig, sent, talk, until};
use crate::said;

#[test]
fn what_a_full_lane_has_no_room_for_is_counted_in_its_ledger() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    let large = [b"GET ".as_slice(), &[b'x'; 4000]].concat();
    rig.wire.push((0..1500).map(|_| sent(1, &large)));
    rig.settle(1500);
    let counters = rig.lanes[0].counters();
    assert!(counters.produced >= 1500 && counters.lost > 300, "{counters:?}");
    let read = rig.lane(0).len() as u64;
    let notes = counters.produced - 1500;
    assert_eq!(read + notes + counters.lost, counters.produced, "{counters:?}");
    assert_eq!(rig.router.stop().routed, 1500);
}

#[test]
fn time_passes_on_lanes_with_connections_and_on_no_others() {
    let mut rig = rig(vec![talk("get", b"GET "), talk("idle", b"IDLE")]);
    rig.wire.push([sent(1, b"GET /")]);
    let mut kinds = Vec::new();
    until("two ticks have come", || {
        kinds.extend(rig.records(0).into_iter().map(|record| record.kind));
        kinds.iter().filter(|kind| **kind == TICK).count() == 2
    });
    assert_eq!(rig.lanes[1].waiting_bytes(), 0);
    rig.wire.push([end(1)]);
    rig.settle(2);
    assert!(rig.records(0).iter().any(|record| record.kind == 1));
    rig.router.stop();
    assert_eq!(rig.lanes[1].waiting_records(), 1);
    let kinds: Vec<_> = read(&mut *rig.lanes[1]).iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [FLUSH], "at the end all are told");
    assert!(rig.lanes[1].ended());
}

#[test]
fn a_new_lane_gets_connections_that_nobody_knew() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    rig.wire.push((0..8).map(|_| sent(1, b"NEW")));
    rig.settle(8);
    assert!(rig.maps.verdict(1).is_some());
    let lane = rig.router.enlist(talk("new", b"NEW").boxed()).unwrap();
    rig.lanes.push(lane);
    assert_eq!(rig.maps.verdict(1), None, "the kernel sends it again");
    rig.wire.push([sent(1, b"NEW again")]);
    rig.settle(9);
    assert_eq!(rig.lane(1), said(&[(1, "NEW again")]));
    assert!(matches!(rig.router.enlist(talk("new", b"NEW").boxed()), Err(RouteError::Twice(name)) if name == "new"));
}

#[test]
fn a_lane_that_is_dismissed_ends_and_its_connections_are_unknown() {
    let mut rig = rig(vec![talk("get", b"GET "), talk("put", b"PUT ")]);
    rig.wire.push([sent(1, b"GET /"), sent(2, b"PUT /")]);
    rig.settle(2);
    rig.router.dismiss("get").unwrap();
    let kinds: Vec<_> = rig.records(0).iter().map(|record| record.kind).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&0), Some(&FLUSH)));
    assert!(rig.lanes[0].ended() && !rig.lanes[1].ended());
    rig.wire.push([sent(1, b"GET /"), sent(2, b"x"), sent(3, b"GET /")]);
    rig.settle(5);
    assert_eq!(rig.maps.verdict(1), Some((1, 0)));
    let account = rig.router.account(Duration::from_secs(20));
    assert_eq!((account.ledger.routed, account.ledger.unrouted, account.ledger.held), (3, 1, 1));
    assert!(matches!(rig.router.dismiss("get"), Err(RouteError::None(_))));
    // Its place is reused.
    let mut lane = rig.router.enlist(talk("late", b"LATE").boxed()).unwrap();
    rig.wire.push([sent(4, b"LATE")]);
    rig.settle(6);
    assert_eq!(read(&mut *lane).iter().filter(|record| record.kind == 0).count(), 1);
    let ledger = rig.router.stop();
    assert!(ledger.balanced() && ledger.retired > 0, "{ledger:?}");
    let live: u64 = [&mut lane, &mut rig.lanes[1]].into_iter().map(|lane| lane.counters().produced).sum();
    assert_eq!(ledger.handed, ledger.retired + live, "what the lanes were handed is what was routed: {ledger:?}");
    assert_eq!(ledger.retired, rig.lanes[0].counters().produced);
}

#[test]
fn after_a_swap_the_signatures_of_the_new_one_hold() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    rig.wire.push([sent(1, b"GET /")]);
    rig.settle(1);
    rig.router.amend(talk("get", b"FETCH ").boxed()).unwrap();
    rig.wire.push([sent(1, b"more"), sent(2, b"FETCH /"), sent(3, b"GET /")]);
    rig.settle(4);
    assert_eq!(rig.lane(0), said(&[(1, "GET /"), (1, "more"), (2, "FETCH /")]), "nothing is lost, nothing doubled");
    assert!(matches!(rig.router.amend(talk("other", b"X").boxed()), Err(RouteError::None(_))));
}

#[test]
fn a_path_that_is_gone_leaves_its_connections_unknown() {
    let mut rig = rig(vec![talk("get", b"GET ")]);
    rig.lanes.clear();
    rig.wire.push([sent(1, b"GET /"), Record { time_ns: 2, ..sent(1, b"x") }]);
    rig.settle(2);
    until("it is found out", || rig.router.account(Duration::from_secs(20)).unknown_ports.len() == 1);
}
