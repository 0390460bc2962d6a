//! Conversations of real servers with every kind of error, along the whole path: router, decoders in their sandbox, metrics, sampler.
//! `HOSTILE=1000000` sets their number for each protocol; `make hostile` takes a million.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use host_api::Cause;
use host_daemon::config::OutputName;
use host_daemon::{Daemon, Input, Settings};
use host_export::capture::{CapturedProbe, Reader, Writer};
use host_model::Run;
use host_tests::process;
use host_tests::turn::{measured, turn};
use plugin_sdk::testing::Mutations;

/// Number of conversations of one capture file.
const CHUNK: u64 = 50_000;
/// Number of conversations that share a run.
const TOGETHER: u64 = 16;
/// The bytes of a record that hold its connection.
const CONNECTION: std::ops::Range<usize> = 8..16;
/// Maximum growth of memory: all connections of a decoder may hold some MiB, and some thousand have passed since the first chunk.
const MOST_GROWTH: u64 = 64 << 20;

/// The sums of the ledgers.
#[derive(Debug, Default)]
struct Sum {
    records: u64,
    rows: u64,
    traps: u64,
}

#[test]
fn mutated_conversations_of_every_protocol_hurt_nobody() {
    let _turn = turn();
    // Like in the binary: else the measurement would depend on the number of heaps.
    host_kernel::one_heap();
    let count = std::env::var("HOSTILE").map_or(3_000, |count| count.parse().expect("HOSTILE is a number"));
    let state = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for protocol in ["http", "http2", "redis", "memcached", "dns", "postgresql", "mysql"] {
        let recording = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("requests/captures/{protocol}.capture"));
        let (probe, conversations) = conversations(&recording);
        let mut mutations = Mutations::new(conversations, 0x5eed);
        let (mut sum, mut done, mut first) = (Sum::default(), 0, None);
        while done < count {
            let chunk = CHUNK.min(count - done);
            let capture = state.path().join("hostile.capture");
            write(&capture, &probe, &mut mutations, chunk);
            runtime.block_on(play(&capture, state.path(), protocol, &mut sum));
            done += chunk;
            first.get_or_insert_with(memory);
        }
        let growth = memory().saturating_sub(first.unwrap_or_default());
        measured(&format!("{protocol}: {done} conversations, {sum:?}, memory {} KiB more", growth >> 10));
        assert!(sum.rows > 0, "{protocol}: nothing was understood: {sum:?}");
        assert!(sum.traps * 100_000 <= done, "{protocol}: more than one trap in 100,000: {sum:?}");
        assert!(growth < MOST_GROWTH, "{protocol}: {growth} bytes more");
    }
}

/// Returns the resident memory after free memory was returned to the system.
fn memory() -> u64 {
    host_kernel::give_back();
    process::rss_bytes(std::process::id())
}

/// Returns the records of a recording by connection, in order; and the probe that wrote them.
fn conversations(recording: &Path) -> (CapturedProbe, Vec<Vec<Vec<u8>>>) {
    let file = File::open(recording).unwrap_or_else(|error| panic!("{}: {error}", recording.display()));
    let mut reader = Reader::new(BufReader::new(file)).unwrap();
    let probe = reader.probes()[0].clone();
    let mut by_connection: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    while let Some(runs) = reader.read().unwrap() {
        for record in runs.iter().flat_map(|captured| captured.run.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()) {
            by_connection.entry(record[CONNECTION].to_vec()).or_default().push(record);
        }
    }
    (probe, by_connection.into_values().collect())
}

fn write(capture: &Path, probe: &CapturedProbe, mutations: &mut Mutations, count: u64) {
    let mut writer = Writer::new(BufWriter::new(File::create(capture).unwrap()), 0, std::slice::from_ref(probe)).unwrap();
    for first in (0..count).step_by(usize::try_from(TOGETHER).unwrap()) {
        let mut run = Vec::new();
        for _ in first..count.min(first + TOGETHER) {
            mutations.next().iter().for_each(|record| Run::push(&mut run, record));
        }
        writer.push(0, first * 1_000_000, Run::parse(&run).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

/// Plays a capture through a daemon of its own.
async fn play(capture: &Path, state: &Path, protocol: &str, sum: &mut Sum) {
    let settings = Settings {
        input: Input::Capture { file: capture.to_owned(), looping: false },
        output: Some(OutputName::None),
        socket: Some(state.join("socket")),
        state_dir: Some(state.to_owned()),
        ..Settings::default()
    };
    let daemon = Daemon::start(settings).await.unwrap();
    assert_eq!(daemon.wait().await, Cause::Ended);
    let status = daemon.status().await;
    for path in &status.paths {
        sum.traps += path.plugins.iter().map(|plugin| plugin.traps).sum::<u64>();
        sum.rows += path.ledger.rows;
    }
    let report = daemon.stop().await;
    assert!(report.balanced, "{protocol}: {report:?}");
    let (_, trunk) = report.paths.iter().find(|(name, _)| name == "l7").unwrap();
    sum.records += trunk.received;
}
