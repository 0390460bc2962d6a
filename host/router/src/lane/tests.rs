use super::*;
use crate::inbox::{Inbox, Ticket};
use crate::record::tests::layout;
use crate::record::{SERVER, TICK};

struct Nobody;

impl Waker for Nobody {
    fn wake(&self) {}
}

fn ends() -> (Shape, Outlet, Lane) {
    let shape = Shape::of(&layout()).unwrap();
    let inbox = Arc::new(Inbox::new(Arc::new(Nobody)));
    let (outlet, lane) = lane("talk".into(), "l7".into(), Leaving::new(Ticket { lane: 0, serial: 1 }, shape, inbox));
    (shape, outlet, lane)
}

#[test]
fn what_is_delivered_is_read_in_order_with_what_the_router_knows() {
    let (shape, mut outlet, mut lane) = ends();
    let mut run = Vec::new();
    (0..3).for_each(|time| Run::push(&mut run, &shape.note(TICK, time)));
    outlet.pass(8, 104, SERVER, 4);
    outlet.stash(&shape.note(TICK, 9), 0, 0);
    outlet.pass(8 + 2 * 112, 104, SERVER, 0);
    outlet.deliver(&run, &shape, None);
    assert_eq!((lane.waiting_records(), lane.counters().produced), (3, 3));
    let heads: Vec<_> = lane.run(10, 1 << 20).iter().map(|record| shape.head(record).unwrap()).collect();
    assert_eq!(heads.iter().map(|head| head.time_ns).collect::<Vec<_>>(), [0, 9, 2]);
    assert_eq!((heads[0].role, heads[0].flags, heads[1].role, heads[2].flags), (SERVER, 4, 0, 0));
    lane.release();
    assert_eq!((lane.waiting_bytes(), lane.waiting_records()), (0, 0));
}

#[test]
fn what_has_no_room_is_lost_and_counted() {
    let (shape, mut outlet, mut lane) = ends();
    let large = [shape.note(TICK, 1), vec![0; 4096]].concat();
    (0..2000).for_each(|_| outlet.stash(&large, 0, 0));
    outlet.deliver(&[], &shape, None);
    let counters = lane.counters();
    assert_eq!((counters.produced, counters.lost + lane.waiting_records()), (2000, 2000));
    assert!(counters.lost > 900 && lane.waiting_bytes() <= ROOM, "{counters:?}");
    while lane.waiting_bytes() > 0 {
        lane.run(100, 1 << 20);
        lane.release();
    }
    outlet.stash(&large, 0, 0);
    outlet.deliver(&[], &shape, None);
    assert_eq!(lane.waiting_records(), 1, "there is room again");
}

#[test]
fn a_lane_that_nobody_reads_holds_nobody_up() {
    let (shape, mut outlet, lane) = ends();
    drop(lane);
    outlet.stash(&shape.note(TICK, 1), 0, 0);
    outlet.deliver(&[], &shape, Some(Instant::now() + Duration::from_secs(60)));
    outlet.settle();
    assert!(outlet.is_abandoned());
}

#[test]
fn it_ends_when_the_last_record_was_read() {
    let (shape, mut outlet, mut lane) = ends();
    outlet.stash(&shape.note(TICK, 1), 0, 0);
    outlet.deliver(&[], &shape, None);
    drop(outlet);
    assert!(!lane.ended());
    lane.wait(1 << 20, Duration::from_secs(60));
    lane.run(1, 1);
    lane.release();
    assert!(lane.ended());
}

#[test]
fn a_plan_is_refused_with_the_reason_and_no_plan_is_fine() {
    let (_, _outlet, mut lane) = ends();
    assert_eq!(lane.apply(&KernelPlan::default()), Ok(()));
    let error = lane.apply(&KernelPlan { min_duration_ns: 1, ..KernelPlan::default() }).unwrap_err();
    assert!(error.to_string().contains("shares probe l7"), "{error}");
}
