//! Conversations that change lanes while records arrive, at any call and at any rate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use host_model::{Disowned, KernelCounters, Ledger, Source, SwitchPoint};

use crate::rig::{END, LATER, Record, Rig, SENT, TLS, end, from, received, rig, sent, talk, until, whole};

/// The records that a path saw: the numbers of each conversation's records, in order.
type Numbers = BTreeMap<(u64, bool), Vec<u64>>;
type Seen = Arc<Mutex<Numbers>>;

/// The verdict of a path on a run that it has read.
type Verdict = Box<dyn FnMut(&[Record]) -> Vec<Disowned> + Send>;

/// A running path; it returns its lane and the kernel's counters.
type Reading = JoinHandle<(Box<dyn Source>, KernelCounters)>;

/// Starts a path that reads a lane to its end, and disowns what `disowned` returns for each run.
fn path(mut lane: Box<dyn Source>, mut disowned: impl FnMut(&[Record]) -> Vec<Disowned> + Send + 'static) -> (Seen, Reading) {
    let seen = Seen::default();
    let to = Arc::clone(&seen);
    let thread = std::thread::spawn(move || {
        while !lane.ended() {
            lane.wait(1 << 16, Duration::from_millis(20));
            while lane.waiting_bytes() > 0 {
                let records: Vec<Record> = lane.run(64, 1 << 18).iter().map(Record::read).collect();
                let foreign = disowned(&records);
                let mut seen = to.lock().unwrap();
                for (index, record) in (0..).zip(&records).filter(|(_, record)| record.kind <= END) {
                    let key = (record.connection, record.flags & TLS != 0);
                    let is_foreign = |other: &&Disowned| {
                        let point = other.from.unwrap_or(SwitchPoint { record: 0, bytes: 0 });
                        (other.connection, other.tls) == key && index >= point.record
                    };
                    if foreign.iter().find(is_foreign).is_none() {
                        seen.entry(key).or_default().push(record.time_ns);
                    }
                }
                drop(seen);
                if !foreign.is_empty() {
                    lane.give_back(&foreign);
                }
                lane.release();
            }
        }
        let counters = lane.counters();
        (lane, counters)
    });
    (seen, thread)
}

/// Disowns each conversation from the record with this payload on.
fn leaves_at(word: &'static [u8]) -> impl FnMut(&[Record]) -> Vec<Disowned> + Send + 'static {
    move |records| {
        let at = |(index, record): (u32, &Record)| {
            let point = SwitchPoint { record: index, bytes: 0 };
            let tls = record.flags & TLS != 0;
            (record.payload == word).then_some(Disowned { connection: record.connection, tls, from: Some(point) })
        };
        (0..).zip(records).filter_map(at).collect()
    }
}

fn keeps(_: &[Record]) -> Vec<Disowned> {
    Vec::new()
}

/// Records of a conversation, numbered by their time; some have a payload.
fn conversation(connection: u64, flags: u8, records: u64, words: &[(u64, &[u8])]) -> Vec<Record> {
    let record = |number: u64| {
        let word = words.iter().find(|(at, _)| *at == number).map_or(&b"x"[..], |(_, word)| word);
        Record { time_ns: number, flags, direction: (number % 2) as u8 * SENT, ..sent(connection, word) }
    };
    (1..=records).map(record).collect()
}

/// Runs a path for every lane, and returns what they saw.
fn play(rig: Rig, mut paths: Vec<Verdict>, feed: impl FnOnce(&Rig)) -> (Vec<Numbers>, Ledger) {
    let mut rig = rig;
    let lanes = std::mem::take(&mut rig.lanes);
    let running: Vec<_> = lanes.into_iter().zip(paths.drain(..)).map(|(lane, of)| path(lane, of)).collect();
    feed(&rig);
    let ledger = rig.router.stop();
    let mut handed = ledger.retired;
    let seen = running.into_iter().map(|(seen, thread)| {
        handed += thread.join().unwrap().1.produced;
        std::mem::take(&mut *seen.lock().unwrap())
    });
    let seen = seen.collect();
    assert!(ledger.balanced(), "{ledger:?}");
    assert_eq!(ledger.handed, handed, "{ledger:?}");
    (seen, ledger)
}

fn three() -> Rig {
    rig(vec![talk("one", b"ONE"), talk("two", b"TWO"), talk("three", b"THREE")])
}

#[test]
fn nothing_is_lost_at_whatever_call_a_conversation_changes_hands() {
    for point in [2, 8, 9, 50, 1000, 2000] {
        for chunk in [1, 7, 100, 3000] {
            let records = conversation(1, 0, 2000, &[(1, b"ONE"), (point, b"TWO")]);
            let (seen, ledger) = play(three(), vec![Box::new(leaves_at(b"TWO")), Box::new(keeps), Box::new(keeps)], |rig| {
                for records in records.chunks(chunk) {
                    rig.wire.push(records.to_vec());
                    if chunk == 1 && records[0].time_ns % 64 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
            let at = format!("at {point}, {chunk} at once: {ledger:?}");
            assert_eq!(seen[0][&(1, false)], (1..point).collect::<Vec<_>>(), "{at}");
            assert_eq!(seen[1][&(1, false)], (point..=2000).collect::<Vec<_>>(), "{at}");
            assert_eq!(ledger.lost_in_change, 0, "{at}");
            assert_eq!(ledger.routed - ledger.taken_back, 2000, "{at}");
        }
    }
}

#[test]
fn plaintext_and_ciphertext_change_hands_each_by_itself() {
    let plain = conversation(1, 0, 500, &[(1, b"ONE"), (20, b"TWO")]);
    let tls = conversation(1, TLS, 500, &[(1, b"ONE"), (300, b"TWO")]);
    let stays = conversation(2, TLS, 500, &[(1, b"ONE")]);
    let (seen, ledger) = play(three(), vec![Box::new(leaves_at(b"TWO")), Box::new(keeps), Box::new(keeps)], |rig| {
        for ((plain, tls), stays) in plain.chunks(9).zip(tls.chunks(9)).zip(stays.chunks(9)) {
            rig.wire.push([plain, stays, tls].concat());
        }
    });
    assert_eq!((seen[1][&(1, false)].len(), seen[1][&(1, true)].len()), (481, 201), "{ledger:?}");
    assert_eq!(seen[0][&(2, true)].len(), 500, "{ledger:?}");
    assert!(!seen[1].contains_key(&(2, true)));
}

#[test]
fn many_conversations_change_hands_at_once_and_some_of_them_twice() {
    let words: [(u64, &[u8]); 3] = [(1, b"ONE"), (40, b"TWO"), (90, b"THREE")];
    let all: Vec<Vec<Record>> = (1..=60).map(|connection| conversation(connection, 0, 200, &words)).collect();
    let (seen, ledger) =
        play(three(), vec![Box::new(leaves_at(b"TWO")), Box::new(leaves_at(b"THREE")), Box::new(keeps)], |rig| {
            for step in 0..40 {
                rig.wire.push(all.iter().flat_map(|records| records[step * 5..step * 5 + 5].to_vec()));
            }
        });
    for connection in 1..=60 {
        let key = (connection, false);
        assert_eq!(seen[0][&key], (1..40).collect::<Vec<_>>(), "{ledger:?}");
        assert_eq!(seen[1][&key], (40..90).collect::<Vec<_>>(), "{ledger:?}");
        assert_eq!(seen[2][&key], (90..=200).collect::<Vec<_>>(), "{ledger:?}");
    }
    assert_eq!(ledger.lost_in_change, 0);
}

#[test]
fn since_its_beginning_it_comes_with_what_was_kept_and_the_rest_is_counted() {
    for point in [1, 5, 8, 9, 50, 1000_u64] {
        let records = conversation(1, 0, 1500, &[(1, b"ONE TWO"), (point.max(2), b"FOREIGN")]);
        let disowns = move |records: &[Record]| {
            let is_foreign = |record: &Record| record.time_ns >= point;
            records.iter().find(|record| is_foreign(record)).map(|record| whole(record.connection)).into_iter().collect()
        };
        let two = talk("two", b"").asked(|_| host_model::Opinion::Yes);
        let rig = rig(vec![talk("one", b"ONE"), two]);
        let (seen, ledger) = play(rig, vec![Box::new(disowns), Box::new(keeps)], |rig| {
            records.chunks(50).for_each(|some| rig.wire.push(some.to_vec()))
        });
        let got = &seen[1][&(1, false)];
        assert!(got.is_sorted() && got[..8] == [1, 2, 3, 4, 5, 6, 7, 8] && got.last() == Some(&1500), "{point}: {got:?}");
        assert_eq!(got.len() as u64 + ledger.lost_in_change, 1500, "{point}: {ledger:?}");
        // A run of this path has at most 64 records.
        assert!(ledger.lost_in_change < point, "{point}: {ledger:?}");
    }
}

#[test]
fn who_says_little_for_long_is_still_passed_on_from_its_beginning() {
    let mut rig = rig(vec![talk("one", b"GET "), talk("two", b"GET ")]);
    rig.wire.push([sent(1, b"GET a"), received(1, b"b")]);
    rig.settle(2);
    rig.records(0);
    std::thread::sleep(Duration::from_millis(2500));
    rig.lanes[0].give_back(&[whole(1)]);
    rig.passes_on(0, 1);
    assert_eq!(rig.lane(1), crate::said(&[(1, "GET a"), (1, "b")]));
}

#[test]
fn a_call_in_which_two_protocols_meet_is_cut_between_them() {
    let mut rig = three();
    let later = |record: Record| Record { flags: LATER, ..record };
    let switch = Record { sequence: 100, ..received(1, b"ONE, bye.TWO hello") };
    rig.wire.push([sent(1, b"ONE"), later(switch), later(sent(1, b"x")), later(sent(1, b"y"))]);
    rig.settle(4);
    assert_eq!(rig.lanes[0].run(10, 1 << 20).records, 4);
    rig.lanes[0].give_back(&[from(1, 1, 9)]);
    rig.lanes[0].release();
    rig.passes_on(0, 1);
    let records = rig.records(1);
    let told: Vec<_> = records.iter().map(|record| (record.sequence, &record.payload[..], record.flags)).collect();
    assert_eq!(told, [(109, &b"TWO hello"[..], 0), (0, b"x", 0), (0, b"y", LATER)], "each end begins there");
}

#[test]
fn the_end_of_a_connection_goes_the_same_way() {
    let records = conversation(1, TLS, 300, &[(1, b"ONE"), (299, b"TWO")]);
    let end = Record { time_ns: 301, ..end(1) };
    let (seen, ledger) = play(three(), vec![Box::new(leaves_at(b"TWO")), Box::new(keeps), Box::new(keeps)], |rig| {
        rig.wire.push(records.into_iter().chain([end]));
    });
    assert_eq!(seen[1][&(1, true)], [299, 300, 301], "{ledger:?}");
    assert_eq!(ledger.doubled, 1, "the socket's end is told to the plaintext over it");
}

#[test]
fn what_was_left_behind_may_come_again_to_the_same_decoder() {
    let mut rig = three();
    let lane = rig.lanes.remove(0);
    let (seen, thread) = path(lane, leaves_at(b"ONE again"));
    let records = conversation(1, 0, 300, &[(1, b"ONE"), (100, b"ONE again")]);
    records.chunks(10).for_each(|some| rig.wire.push(some.to_vec()));
    rig.settle(300);
    // The router stops after four attempts: a decoder that always disowns would not end.
    until("it is nobody's", || rig.maps.verdict(1).is_some_and(|(verdict, _)| verdict == 1));
    let ledger = rig.router.stop();
    thread.join().unwrap();
    assert_eq!(seen.lock().unwrap()[&(1, false)], (1..100).collect::<Vec<_>>());
    assert_eq!((ledger.unrouted, ledger.lost_in_change), (201, 0), "{ledger:?}");
}

#[test]
fn a_lane_that_does_not_read_costs_no_more_memory_than_there_is_for_it() {
    let mut rig = three();
    let large = vec![b'x'; 1000];
    rig.wire.push([sent(1, b"ONE")]);
    rig.settle(1);
    rig.records(0);
    rig.lanes[0].give_back(&[from(1, 0, 0)]);
    rig.wire.push((0..3000).map(|_| sent(1, &large)));
    rig.settle(3001);
    let account = rig.router.account(Duration::from_secs(20)).ledger;
    assert!(account.held < 1000 && account.lost_in_change > 1900, "{account:?}");
    assert_eq!(account.held + account.lost_in_change + account.routed, 3001);
    rig.lanes[0].wait(1, Duration::from_millis(1));
    until("it is free again", || rig.router.account(Duration::from_secs(20)).ledger.held == 0);
    assert!(rig.router.stop().balanced());
}

#[test]
fn a_path_that_ends_in_the_middle_gives_back_what_it_did_not_read() {
    let mut rig = three();
    let records = conversation(1, 0, 400, &[(1, b"ONE"), (3, b"TWO")]);
    rig.wire.push(records);
    rig.settle(400);
    assert_eq!(rig.lanes[0].run(2, 1 << 20).records, 2);
    rig.lanes[0].release();
    assert_eq!(rig.lanes[0].run(2, 1 << 20).records, 2);
    rig.lanes[0].give_back(&[from(1, 0, 0)]);
    drop(rig.lanes.remove(0));
    until("the other has it", || rig.lanes[0].waiting_bytes() > 0);
    assert_eq!(rig.lane(0).len(), 398);
    let ledger = rig.router.stop();
    assert!(ledger.balanced() && ledger.lost_in_change == 0, "{ledger:?}");
}

#[test]
fn a_lane_that_is_dismissed_in_the_middle_loses_nothing_unseen() {
    let mut rig = three();
    rig.wire.push(conversation(1, 0, 400, &[(1, b"ONE"), (3, b"TWO")]));
    rig.settle(400);
    rig.lanes[0].run(10, 1 << 20);
    rig.lanes[0].give_back(&[from(1, 2, 0)]);
    until("the router knows", || rig.router.account(Duration::from_secs(20)).ledger.received == 400);
    rig.router.dismiss("one").unwrap();
    rig.lanes[0].release();
    rig.records(0);
    let mut lane = rig.lanes.remove(0);
    until("it has ended", || {
        lane.wait(1, Duration::from_millis(1));
        lane.ended()
    });
    let counters = lane.counters();
    assert_eq!(counters.given_back, 390, "{counters:?}");
    drop(lane);
    until("all is counted", || {
        let ledger = rig.router.account(Duration::from_secs(20)).ledger;
        ledger.taken_back == 398 && ledger.balanced()
    });
}

#[test]
fn what_a_decoder_never_had_it_cannot_give_back() {
    let mut rig = three();
    rig.wire.push([sent(1, b"ONE"), sent(2, b"TWO")]);
    rig.settle(2);
    assert_eq!(rig.lanes[0].run(10, 1 << 20).records, 1);
    let strange: Vec<Disowned> = (2..70_000).chain(2..70_000).map(whole).collect();
    rig.lanes[0].give_back(&[from(0, u32::MAX, u32::MAX), from(1, 7, 7), from(1, 3, 0), whole(2)]);
    rig.lanes[0].give_back(&strange);
    rig.lanes[0].release();
    rig.wire.push([sent(2, b"more"), sent(1, b"more")]);
    rig.settle(4);
    assert_eq!(rig.lane(1), crate::said(&[(2, "TWO"), (2, "more")]), "another's stay where they are");
    until("all is answered", || {
        rig.lanes[0].wait(1, Duration::from_millis(1));
        let ledger = rig.router.account(Duration::from_secs(20)).ledger;
        ledger.balanced() && ledger.held + ledger.unrouted == 1
    });
}

#[test]
fn ciphertext_whose_plaintext_is_known_is_not_unknown() {
    let rig = rig(vec![talk("get", b"GET ")]);
    let plain = |connection, payload: &[u8]| Record { flags: TLS, ..sent(connection, payload) };
    let wire = |connection| (0..10).map(move |_| sent(connection, b"\x17\x03\x03"));
    rig.wire.push(wire(1).chain([plain(1, b"GET /")]));
    rig.wire.push(wire(2).take(4).chain([plain(2, b"GET /")]).chain(wire(2)));
    rig.wire.push(wire(3));
    // Short conversations are not decided before their end.
    rig.wire.push(wire(4).take(2).chain([plain(4, b"GET /"), end(4)]));
    rig.wire.push([plain(5, b"GET /")].into_iter().chain(wire(5).take(2)).chain([end(5)]));
    rig.settle(44);
    let account = rig.router.account(Duration::from_secs(20));
    let counted: Vec<_> = account.unknown_ports.iter().map(|one| (one.connections, one.records)).collect();
    assert_eq!(counted, [(1, 10)], "only the third is missed");
    assert_eq!(account.ledger.unrouted, 40);
}
