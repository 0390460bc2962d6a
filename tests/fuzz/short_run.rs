//! Every input of the kept corpora, and for each target some thousand mutations of them: always the same ones.

#![forbid(unsafe_code)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use fuzz::mutation::Mutations;
use fuzz::{TARGETS, Target};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Mutations of each target: a few seconds.
const RUNS: usize = 100_000;
/// What one input may take. A thousand times what it takes, so that a busy machine does not matter.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses that this process may have: what asks for gigabytes because an input says so, dies of it.
const ADDRESSES: u64 = 4 << 30;
/// Of all kept corpora together.
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
    for folder in fs::read_dir(corpus_folder()).unwrap() {
        let folder = folder.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|target| target.name == name), "{name} is no target");
        bytes += inputs(&folder).iter().map(Vec::len).sum::<usize>();
    }
    assert!(bytes <= CORPUS_BYTES, "{bytes} bytes");
}

fn short_run(name: &str) {
    static BOUND: Once = Once::new();
    BOUND.call_once(|| setrlimit(Resource::As, Rlimit { current: Some(ADDRESSES), maximum: Some(ADDRESSES) }).unwrap());
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = inputs(&corpus_folder().join(name));
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for input in &corpus {
        holds(target, input);
    }
    let mut mutations = Mutations::new(&corpus, 1);
    for _ in 0..RUNS {
        holds(target, &mutations.next_input());
    }
}

/// Keeps the input that something does not hold for, as `make fuzz` does.
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

/// The inputs of a corpus, in the order of their names.
fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
