//! Every input of the stored corpora, and for each target some thousand mutations of them: always the same ones.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use fuzz::mutation::Mutations;
use fuzz::{TARGETS, Target};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Number of mutations of each target: a few seconds.
const RUNS: usize = 100_000;
/// Maximum time for one input. A thousand times the usual, so that a busy machine does not matter.
const PATIENCE: Duration = Duration::from_secs(5);
/// Maximum address space of this process: code that allocates gigabytes because an input claims them fails.
const ADDRESSES: u64 = 4 << 30;
/// Maximum size of all stored corpora together.
const CORPUS_BYTES: usize = 200 << 10;

#[test]
fn component_inspection_holds() {
    short_run("component_inspection");
}

#[test]
fn record_framing_holds() {
    short_run("record_framing");
}

#[test]
fn guest_output_holds() {
    short_run("guest_output");
}

#[test]
fn config_holds() {
    short_run("config");
}

#[test]
fn control_request_holds() {
    short_run("control_request");
}

#[test]
fn the_kept_corpora_are_small_and_belong_to_a_target() {
    let mut bytes = 0;
    for archive in fs::read_dir(corpora()).unwrap() {
        let archive = archive.unwrap().file_name().into_string().unwrap();
        let name = archive.strip_suffix(".tar.gz").unwrap_or(&archive);
        assert!(TARGETS.iter().any(|target| target.name == name), "{archive} belongs to no target");
        bytes += inputs(name).iter().map(Vec::len).sum::<usize>();
    }
    assert!(bytes <= CORPUS_BYTES, "{bytes} bytes");
}

fn short_run(name: &str) {
    static BOUND: Once = Once::new();
    BOUND.call_once(|| setrlimit(Resource::As, Rlimit { current: Some(ADDRESSES), maximum: Some(ADDRESSES) }).unwrap());
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = inputs(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for input in &corpus {
        holds(target, input);
    }
    let mut mutations = Mutations::new(&corpus, 1);
    for _ in 0..RUNS {
        holds(target, &mutations.next_input());
    }
}

/// Checks an input, and stores it if the check fails, like `make fuzz`.
fn holds(target: &Target, input: &[u8]) {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    let wrong = match outcome {
        Err(_) => "it panicked".to_owned(),
        Ok(()) if start.elapsed() > PATIENCE => format!("it took {:?}", start.elapsed()),
        Ok(()) => return,
    };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}", target.name));
    fs::write(&kept, input).unwrap();
    panic!("{}: {wrong}; the input is kept in {}", target.name, kept.display());
}

/// Returns the inputs of a target's corpus, in the order of their names.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let archive = File::open(corpora().join(format!("{target}.tar.gz"))).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let (name, mut bytes) = (entry.path_bytes().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    };
    archive.entries().unwrap().map(read).collect::<BTreeMap<_, _>>().into_values().collect()
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
