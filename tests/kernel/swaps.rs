//! The whole host on an ARM64 machine: default probes, a real collector, and a sampler that is replaced while events flow.

use host_tests::target_folder;
use host_tests::turn::{measured, skip, turn};
use serde_json::Value;

use crate::guest::Guest;

const KERNEL: &str = "6.12/aarch64";
const SWAPS: u64 = 20;

#[test]
fn twenty_swaps_on_arm64_lose_nothing_on_the_way_to_a_collector() {
    let _turn = turn();
    let guest = match Guest::find(KERNEL) {
        Ok(guest) => guest,
        Err(reason) => return skip(&reason),
    };
    let rotel = target_folder().join("kernels/rotel-aarch64");
    if !rotel.join("rotel-agent").is_file() {
        return skip("rotel for aarch64 is not here: .ci/kernels fetches it");
    }
    let mut disk = guest.disk();
    disk.folder_of("/lib", &rotel.join("lib")).file("/bin/rotel-agent", &std::fs::read(rotel.join("rotel-agent")).unwrap());
    let sampler = plugins::component("sampler-ratio").unwrap().bytes;
    disk.file("/plugins/sampler-ratio.wasm", sampler);
    // An unused section makes another component of it.
    disk.file("/plugins/stranger/sampler-ratio.wasm", &[sampler, &[0, 2, 1, b'v']].concat());

    let (rows, console) = guest.boot(disk, "kernel-guest swaps");
    let [said] = rows.as_slice() else { panic!("no account:\n{console}") };
    // Before the console output, which is long.
    measured(&said.to_string());
    assert!(said["broken"].is_null(), "{said}\n{console}");
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{said}"));
    assert_eq!(said["balanced"], true);
    assert_eq!(number(&said["produced"]) + number(&said["missed"]), number(&said["operations"]), "{said}");
    let of = |keys: [&str; 3]| keys.map(|key| number(&said[key]));
    assert_eq!(of(["lost", "undecodable", "traps"]), [0, 0, 0], "{said}");
    assert!(number(&said["kept"]) > 0 && number(&said["sampled_out"]) > 0, "both policies were at work: {said}");
    for signal in ["spans", "logs"] {
        assert!(number(&said["exported"][signal]) > 0, "{said}");
        assert_eq!(said["exported"][signal], said["received"][signal], "{said}");
    }
    for path in ["exec", "file", "tcp", "http", "dns"] {
        assert!(said["paths"].as_array().unwrap().iter().any(|named| named == path), "{said}");
    }
    // One more for the component that was compiled there.
    assert_eq!(said["pauses_ns"].as_array().map(Vec::len), usize::try_from(SWAPS + 1).ok(), "{said}");
}
