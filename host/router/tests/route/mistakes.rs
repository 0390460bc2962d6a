//! Connections that were routed to the wrong decoder.

use std::time::Duration;

use host_model::Opinion;

use crate::rig::{end, received, rig, sent, talk, until, whole};
use crate::said;

#[test]
fn a_wrong_guess_is_corrected_with_what_came_before() {
    let mut rig = rig(vec![talk("first", b"GET "), talk("second", b"GET ")]);
    rig.wire.push([sent(1, b"GET key"), received(1, b"value")]);
    rig.settle(2);
    assert_eq!(rig.lane(0).len(), 2);
    rig.lanes[0].give_back(&[whole(1)]);
    rig.passes_on(0, 1);
    rig.wire.push([sent(1, b"GET more")]);
    rig.settle(3);
    assert_eq!(rig.lane(1), said(&[(1, "GET key"), (1, "value"), (1, "GET more")]));
    assert!(rig.lane(0).is_empty());
    let ledger = rig.router.stop();
    assert_eq!((ledger.routed, ledger.taken_back, ledger.unrouted), (5, 2, 0), "two were routed twice: {ledger:?}");
    assert!(ledger.balanced(), "{ledger:?}");
}

#[test]
fn the_next_is_asked_if_no_signature_is_left() {
    let mut rig = rig(vec![talk("first", b"GET "), talk("asked", b"").asked(|_| Opinion::Yes)]);
    rig.wire.push([sent(1, b"GET key")]);
    rig.settle(1);
    rig.lanes[0].give_back(&[whole(1)]);
    rig.passes_on(0, 1);
    assert_eq!(rig.lane(1), said(&[(1, "GET key")]));
}

#[test]
fn a_connection_that_has_ended_can_still_be_corrected() {
    let mut rig = rig(vec![talk("first", b"GET "), talk("second", b"GET ")]);
    rig.wire.push([sent(1, b"GET key"), end(1)]);
    rig.settle(2);
    rig.lanes[0].give_back(&[whole(1)]);
    rig.passes_on(0, 1);
    assert_eq!(rig.records(1).iter().map(|record| record.kind).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn who_is_disowned_by_all_is_unknown() {
    let mut rig = rig(vec![talk("only", b"GET ")]);
    rig.wire.push((0..8).map(|_| sent(1, b"GET ")));
    rig.settle(8);
    rig.lanes[0].give_back(&[whole(1), whole(77)]);
    until("it is ignored", || {
        rig.lanes[0].wait(1, Duration::from_millis(1));
        rig.maps.verdict(1).is_some_and(|(verdict, _)| verdict == 1)
    });
    let account = rig.router.account(Duration::from_secs(20));
    let ledger = account.ledger;
    assert_eq!((ledger.routed, ledger.taken_back, ledger.unrouted), (8, 8, 8), "nobody reads them: {ledger:?}");
    assert_eq!(account.unknown_ports[0].connections, 1);
}

#[test]
fn a_connection_is_not_passed_on_without_end() {
    let names: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let mut rig = rig(names.iter().map(|name| talk(name, b"GET ")).collect());
    rig.wire.push((0..8).map(|_| sent(1, b"GET ")));
    rig.settle(8);
    for lane in 0..5 {
        until("it has come", || rig.lanes[lane].waiting_bytes() > 0);
        rig.records(lane);
        rig.lanes[lane].give_back(&[whole(1)]);
        if lane < 4 {
            rig.passes_on(lane, lane + 1);
        }
    }
    until("it is ignored", || {
        rig.lanes[4].wait(1, Duration::from_millis(1));
        rig.maps.verdict(1).is_some_and(|(verdict, _)| verdict == 1)
    });
    assert_eq!(rig.lanes[5].waiting_bytes(), 0);
}

#[test]
fn whoever_faults_when_asked_is_passed_over() {
    let mut faulty = talk("faulty", b"");
    faulty.faulty = true;
    let mut rig = rig(vec![faulty, talk("well", b"").asked(|_| Opinion::Yes)]);
    rig.wire.push([sent(1, b"x")]);
    rig.settle(1);
    assert_eq!(rig.lane(1), said(&[(1, "x")]));
}
