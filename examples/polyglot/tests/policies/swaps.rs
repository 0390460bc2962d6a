//! Each language takes over from the one before, in the running host.

use std::fs;
use std::time::Duration;

use host_tests::daemon::{Host, stderr};
use host_tests::load::Load;
use host_tests::turn::{measured, turn_as_root};
use polyglot::policies;

/// Number of swaps to each language.
const ROUNDS: usize = 3;
const RATE: u64 = 20_000;

#[test]
fn a_policy_in_one_language_takes_over_from_another_and_nothing_is_lost_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let policies: Vec<_> = policies()
        .into_iter()
        .map(|(language, bytes)| {
            let file = folder.path().join(language).with_extension("wasm");
            fs::write(&file, bytes).unwrap();
            (language, file)
        })
        .collect();
    let mut load = Load::paced(RATE, 300.0);
    let mut host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "none"]);
    let first = host.status().plugin("file", "sampler").generation;
    load.go();
    for round in 0..ROUNDS {
        for (language, file) in &policies {
            // A different setting each time: a plugin that is live already would not be loaded again.
            let loaded = host.load(file, "sampler", Some(&format!("{{\"one_in\": {}}}", round + 2)));
            assert!(loaded.status.success(), "{language}: {}", stderr(&loaded));
            host.status_when(&format!("batches that {language} decided"), Duration::from_secs(20), |status| {
                status.plugin("file", "sampler").calls > 5
            });
        }
    }
    load.go();
    let report = load.report();
    let status = host.status_when("the path to run dry", Duration::from_secs(30), |status| {
        let ledger = status.ledger("file");
        status.balanced && ledger.received + ledger.lost_in_ring == report.operations && ledger.in_flight == 0
    });
    let (ledger, sampler) = (status.ledger("file"), status.plugin("file", "sampler").clone());
    assert_eq!((ledger.produced, ledger.lost_in_ring, ledger.undecodable), (report.operations, 0, 0), "{ledger:?}");
    assert_eq!(ledger.received, ledger.kept + ledger.sampled_out, "{ledger:?}");
    assert_eq!(sampler.generation, first + (ROUNDS * policies.len()) as u64);
    let longest = status.swaps.iter().filter(|swap| swap.slot == "sampler").map(|swap| swap.pause_ns).max().unwrap_or(0);
    measured(&format!("{} swaps between {} languages, longest pause {longest} ns", ROUNDS * policies.len(), policies.len()));
    host.stop();
}
