//! The embedded capture along the whole path, through the plugins in the binary, without privilege.

use std::path::Path;

use crate::guests::faulty;
use crate::house::{House, Lines};
use host_api::{Cause, FinalReport};
use host_daemon::config::{Config, OutputName};
use host_daemon::{Daemon, Input, Pace};
use host_export::capture::Reader;

/// Returns the number of records of each probe of a capture.
fn records(capture: &Path) -> Vec<(String, u64)> {
    let mut reader = Reader::new(std::fs::File::open(capture).unwrap()).unwrap();
    let mut counts: Vec<(String, u64)> = reader.probes().iter().map(|probe| (probe.name.clone(), 0)).collect();
    while let Some(runs) = reader.read().unwrap() {
        runs.iter().for_each(|run| counts[run.probe].1 += u64::from(run.run.records));
    }
    counts.sort();
    counts
}

fn produced(report: &FinalReport) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = report.paths.iter().map(|(name, ledger)| (name.clone(), ledger.produced)).collect();
    counts.sort();
    counts
}

fn embedded() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/default.capture")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_of_the_capture_becomes_a_line_and_the_sums_balance() {
    let (house, lines) = (House::new(), Lines::default());
    let mut settings = house.settings(Input::Embedded { looping: false });
    settings.output = Some(OutputName::Jsonl);
    settings.view = Some(lines.view());
    let daemon = Daemon::start(settings).await.unwrap();
    assert!(house.ready_file().exists());
    assert_eq!(daemon.wait().await, Cause::Ended);
    let report = daemon.stop().await;

    assert!(report.balanced, "{report:?}");
    assert_eq!(produced(&report), records(&embedded()));
    for (path, ledger) in &report.paths {
        assert!(ledger.produced > 0 && ledger.undecodable == 0, "{path}: {ledger:?}");
        assert_eq!((ledger.exported, ledger.in_flight, ledger.in_ring), (ledger.produced, 0, 0), "{path}: {ledger:?}");
        let of_path = lines.all().iter().filter(|line| line["probe"] == path.as_str()).count();
        assert_eq!(of_path as u64, ledger.exported, "{path}");
    }
    assert!(house.is_empty(), "the socket, its lock and the ready file are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_a_replay_is_the_same_capture_again() {
    let house = House::new();
    let mut settings = house.settings(Input::Embedded { looping: false });
    let tape = house.folder.path().join("again.capture");
    settings.record = Some(tape.clone());
    let daemon = Daemon::start(settings).await.unwrap();
    daemon.wait().await;
    daemon.stop().await;
    assert_eq!(records(&tape), records(&embedded()));

    let daemon = Daemon::start(house.settings(Input::Capture { file: tape.clone(), looping: false })).await.unwrap();
    daemon.wait().await;
    assert_eq!(produced(&daemon.stop().await), records(&tape));
}

/// Returns the output of a replay of the embedded capture, byte by byte.
async fn replayed(config: &str, pace: Pace) -> Vec<u8> {
    let (house, lines) = (House::new(), Lines::default());
    let mut settings = house.settings(Input::Embedded { looping: false });
    settings.config = Config::parse(Path::new("host.toml"), config).unwrap();
    settings.output = Some(OutputName::Jsonl);
    settings.view = Some(lines.view());
    settings.pace = pace;
    let daemon = Daemon::start(settings).await.unwrap();
    assert_eq!(daemon.wait().await, Cause::Ended);
    let report = daemon.stop().await;
    assert!(report.balanced && report.paths.iter().all(|(_, ledger)| ledger.dropped_at_export == 0), "{report:?}");
    lines.bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_says_the_same_bytes_each_time_in_the_order_in_which_it_was_taken() {
    // A budget follows the load second by second, by the clock of the capture. A short queue makes rows wait.
    let config = "[plugins.sampler]\nconfig = { ratio = 0.5, budget_per_second = 200 }\n[export]\nqueue_bytes = \"64KiB\"";
    let first = replayed(config, Pace::Fast).await;
    assert!(first.len() > 10_000, "{} bytes", first.len());
    let again = replayed(config, Pace::Fast).await;
    assert!(first == again, "{} and {} bytes", first.len(), again.len());
    let all = replayed("", Pace::Fast).await;
    assert!(all.len() > first.len() && all == replayed("", Pace::Fast).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_faults_rests_by_the_time_of_the_records() {
    let config = format!("[plugins.sampler]\ncomponent = {:?}\nconfig = {{ do = \"trap\" }}\non_faults = \"off\"\n", faulty());
    let fast = replayed(&config, Pace::Fast).await;
    assert!(String::from_utf8_lossy(&fast).contains("sampler: backing-off"), "it rests");
    let real = replayed(&config, Pace::Real).await;
    assert!(fast == real, "{} and {} bytes, however long the replay takes", fast.len(), real.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_loops_ends_only_when_it_is_stopped() {
    let house = House::new();
    let mut settings = house.settings(Input::Embedded { looping: true });
    settings.probes = vec!["tcp".into()];
    let daemon = Daemon::start(settings).await.unwrap();
    let status = house.until(&daemon, |status| status.paths[0].ledger.received > 0).await;
    assert_eq!(status.paths.len(), 1, "only what was asked for");
    let report = daemon.stop().await;
    assert_eq!(report.cause, Cause::Stop);
    assert!(report.balanced, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_the_capture_does_not_have_is_refused_by_name() {
    let house = House::new();
    let mut settings = house.settings(Input::Embedded { looping: false });
    settings.probes = vec!["dns".into()];
    std::fs::write(house.ready_file(), "of a daemon that was killed").unwrap();
    let refusal = Daemon::start(settings).await.err().unwrap();
    assert!(refusal.to_string().contains("`dns`") && refusal.cure().contains("tcp"), "{refusal:?}");
    assert!(house.is_empty(), "nothing is left behind, and who waits for the ready file is not misled");
}
