//! A candidate in the shadow of a live plugin: its comparison, its cost, and its promotion.

use std::path::Path;
use std::time::{Duration, Instant};

use host_tests::control::Control;
use host_tests::daemon::Host;
use host_tests::load::Load;
use host_tests::turn::{measured, turn_as_root};
use host_tests::{process, wait_for};
use serde_json::{Value, json};

use crate::guests::{built_in, hostile, variant};

const SOON: Duration = Duration::from_secs(30);

/// Starts a host whose sampler keeps everything, under a load that does not saturate it.
fn host(rate: u64) -> (Host, Load) {
    let mut load = Load::paced(rate, 300.0);
    let host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "none"]);
    load.go();
    (host, load)
}

fn shadow(control: &mut Control, file: &Path, more: Value) -> Value {
    let mut body = json!({ "path": file, "slot": "sampler", "config": {} });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    control.post("/v1/plugins/shadow", &body).unwrap()
}

fn comparison(control: &mut Control) -> Value {
    control.get("/v1/plugins/compare?slot=sampler")
}

#[test]
fn a_candidate_that_disagrees_on_one_row_in_a_hundred_is_reported_so_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let candidate = hostile(folder.path(), "drops_one_in_a_hundred");
    let (mut host, mut load) = host(20_000);
    let mut control = host.control();
    let before = host.status().ledger("file");
    shadow(&mut control, &candidate, json!({}));
    let compared = wait_for("20,000 rows to be compared", SOON, || {
        let compared = comparison(&mut control);
        (compared["comparison"]["rows"].as_u64().unwrap() >= 20_000).then_some(compared)
    });
    let (low, high) = (compared["interval"][0].as_f64().unwrap(), compared["interval"][1].as_f64().unwrap());
    measured(&format!(
        "{} of {} rows differ, {low:.4} to {high:.4}; cost {}, {} batches dropped",
        compared["comparison"]["differing"],
        compared["comparison"]["rows"],
        compared["comparison"]["cost"],
        compared["comparison"]["dropped"]
    ));
    assert!(low <= 0.01 && 0.01 <= high && high - low < 0.005, "{compared:#}");
    let example = &compared["comparison"]["examples"][0];
    assert!(example["live"] != example["candidate"] && !example["row"].as_object().unwrap().is_empty(), "{compared:#}");

    let discarded = control.post("/v1/plugins/discard", &json!({ "slot": "sampler" }));
    assert!(discarded.is_ok(), "{discarded:?}");
    load.go();
    load.report();
    let ledger = host.status_when("balance", SOON, |status| status.balanced).ledger("file");
    assert_eq!((ledger.sampled_out, before.sampled_out), (0, 0), "what the candidate dropped was kept: {ledger:?}");
    assert_eq!(ledger.lost_in_ring, 0);
    host.stop();
}

#[test]
fn a_shadow_changes_the_cost_of_the_live_path_by_less_than_a_twentieth_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const ROUNDS: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let candidate = variant(&built_in(folder.path(), "sampler-ratio"), 1);
    let (mut host, _load) = host(20_000);
    let mut control = host.control();
    host.status_when("the first rows", SOON, |status| status.ledger("file").received > 20_000);
    // CPU nanoseconds of the path's own thread per row, over half a second.
    let cost = || {
        let now = || (process::thread_ns(host.pid(), "path-file").unwrap(), host.status().ledger("file").received);
        let (cpu, rows) = now();
        std::thread::sleep(Duration::from_millis(500));
        let (cpu_after, rows_after) = now();
        (cpu_after - cpu) as f64 / (rows_after - rows) as f64
    };
    let mut ratio = || {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(cost());
            shadow(&mut control, &candidate, json!({}));
            with.push(cost());
            control.post("/v1/plugins/discard", &json!({ "slot": "sampler" })).unwrap();
        }
        let (without, with) = (quartile(without), quartile(with));
        measured(&format!(
            "{without:.0} ns of the path's thread per row alone, {with:.0} ns with a shadow: {:.3}",
            with / without
        ));
        with / without
    };
    // On a machine whose processors are shared with other guests, noise alone is a few percent: a real cost shows every time.
    assert!((0..5).any(|_| ratio() < 1.05), "a row costs a twentieth more with a shadow, five times in a row");
    host.stop();
}

#[test]
fn a_candidate_that_meets_its_condition_is_promoted_by_itself_and_one_that_does_not_is_kept_out_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let alike = variant(&built_in(folder.path(), "sampler-ratio"), 1);
    let other = hostile(folder.path(), "drops_one_in_a_hundred");
    // Enough rows that the confidence interval around zero ends below the condition's bound, on a busy machine too.
    let (mut host, _load) = host(20_000);
    let mut control = host.control();
    let condition = json!({ "promote_if": "disagreement < 0.1% and faults == 0", "after_ms": 1500 });
    let mut ended = |file: &Path| {
        let start = Instant::now();
        let digest = shadow(&mut control, file, condition.clone())["digest"].clone();
        let state = wait_for("the condition to be looked at", SOON, || {
            let compared = comparison(&mut control);
            (compared["state"] != "shadowing").then_some(compared)
        });
        assert!(start.elapsed() >= Duration::from_millis(1500));
        (digest, state)
    };

    let (digest, state) = ended(&other);
    assert_eq!(state["state"], "kept", "{state:#}");
    assert_ne!(host.status().plugin("file", "sampler").digest, digest.as_str().unwrap());

    let (digest, state) = ended(&alike);
    assert_eq!(state["state"], "promoted", "{state:#}");
    assert_eq!(host.status().plugin("file", "sampler").digest, digest.as_str().unwrap());
    assert!(host.status().balanced);
    host.stop();
}

/// Returns the lower quartile: other guests only add to a cost.
fn quartile(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 4]
}
