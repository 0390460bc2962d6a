//! The maximum cost of asking decoders for the other protocols.

use std::time::{Duration, Instant};

use host_model::{Opinion, Sender};

use crate::rig::{received, rig, sent, signature, talk, until};
use crate::said;

/// An unsure decoder that is slow.
fn slow(_: &[u8]) -> Opinion {
    std::thread::sleep(Duration::from_millis(60));
    Opinion::Unsure
}

#[test]
fn who_is_slow_when_asked_holds_up_nobody_for_long() {
    let slow = talk("slow", b"").asked(slow).signed(signature(Sender::Client, b"SLOW", true));
    let stats = std::sync::Arc::clone(&slow.stats);
    let mut rig = rig(vec![slow, talk("get", b"GET ")]);
    let began = Instant::now();
    for round in 0..100_u64 {
        rig.wire.push([sent(2 * round + 1, b"?"), sent(2 * round + 2, b"GET /")]);
        rig.settle(2 * round + 2);
    }
    // 100 calls of 60 ms would take 6 s.
    let calls = stats.calls.load(std::sync::atomic::Ordering::Relaxed);
    assert!(calls < 10 && began.elapsed() < Duration::from_secs(3), "{calls} calls in {:?}", began.elapsed());
    assert!(stats.faults(host_model::FaultKind::Deadline) > 0, "it is told");
    assert_eq!(rig.lane(1).len(), 100);
    rig.wire.push([sent(1000, b"SLOW"), received(1000, b"x")]);
    rig.settle(202);
    assert_eq!(rig.lane(0), said(&[(1000, "SLOW"), (1000, "x")]), "its signatures hold");
}

#[test]
fn who_replaces_a_slow_one_is_asked_again() {
    let slow = talk("slow", b"").asked(slow);
    let stats = std::sync::Arc::clone(&slow.stats);
    let mut rig = rig(vec![slow]);
    let mut asked = 0;
    until("it was asked too often", || {
        asked += 1;
        rig.wire.push([sent(asked, b"?")]);
        rig.settle(asked);
        stats.faults(host_model::FaultKind::Deadline) > 0
    });
    rig.router.amend(talk("slow", b"").asked(|_| Opinion::Yes).boxed()).unwrap();
    rig.wire.push([sent(5000, b"new")]);
    until("it is asked", || rig.lane(0).iter().any(|(connection, _)| *connection == 5000));
}
