//! The build without a compiler, for a gateway: it runs plugins that were compiled elsewhere, if the operator grants them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use host_tests::daemon::{Host, ask, host, host_binary, stderr};
use host_tests::load::Load;
use host_tests::turn::{measured, skip, turn_as_root};
use host_tests::{process, repository, target_folder, wait_for};

/// Maximum resident memory, with some margin. If the code in the binary stayed unpacked it would take 6 MiB more.
const RSS: u64 = 43 << 20;
/// Maximum with every plugin interpreted, with some margin. If the code of that kind stayed unpacked it would take 6 MiB more.
const RSS_INTERPRETED: u64 = 48 << 20;
const RATE: u64 = 1_000;

#[cfg(target_arch = "x86_64")]
const HERE: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
const HERE: &str = "aarch64-unknown-linux-gnu";

/// Forbids the command after it to make memory executable; ends with 77 if the kernel cannot forbid it.
const NO_EXECUTABLE_MEMORY: [&str; 3] = [
    "python3",
    "-c",
    "import ctypes, os, sys; PR_SET_MDWE = 65\n\
     if ctypes.CDLL(None).prctl(PR_SET_MDWE, 1, 0, 0, 0): sys.exit(77)\n\
     os.execv(sys.argv[1], sys.argv[1:])",
];

/// Returns the binary without a compiler; its plugins were compiled by the one with it.
fn edge() -> &'static Path {
    static EDGE: OnceLock<PathBuf> = OnceLock::new();
    EDGE.get_or_init(|| {
        let folder = target_folder().join("edge");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--package", "host", "--no-default-features", "--target-dir"]).arg(&folder);
        cargo.env("HOST_COMPILER", host_binary()).current_dir(repository());
        let built = cargo.output().unwrap();
        assert!(built.status.success(), "{}", stderr(&built));
        folder.join("release/host")
    })
}

/// A sampler as files: a component, and compiled for a target.
struct Sampler {
    folder: tempfile::TempDir,
}

// === impl Sampler ===

impl Sampler {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Different bytes from the one in the binary: that is trusted.
        let bytes = [plugins::component("sampler-ratio").unwrap().bytes, &[0, 3, 1, b'v', 1]].concat();
        fs::write(folder.path().join("mine.wasm"), bytes).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Compiles it; returns the digest of the file.
    fn compile(&self, target: &str, name: &str) -> String {
        let (from, to) = (self.path("mine.wasm"), self.path(name));
        let made = host(&["plugin", "compile", &from, "--target", target, "-o", &to, "--format", "json"]);
        assert!(made.status.success(), "{}", stderr(&made));
        serde_json::from_slice::<serde_json::Value>(&made.stdout).unwrap()["compiled_digest"].as_str().unwrap().to_owned()
    }

    /// Writes the configuration of a host that grants code of this digest or signer.
    fn answer_for(&self, who: &str) -> String {
        let path = self.path("host.toml");
        fs::write(&path, format!("{who}\nallow = [\"native-code\"]\n")).unwrap();
        path
    }
}

fn refused(output: &Output, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "`{word}` is not in: {said}"));
}

#[test]
fn without_a_compiler_all_plugins_run_on_real_probes_within_the_memory_of_a_gateway_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let mut load = Load::paced(RATE, 60.0);
    let mut host = Host::run_binary(edge(), &[], &["--output", "none"]);
    load.go();
    host.status_when("rows of some seconds", Duration::from_secs(30), |status| status.ledger("file").decoded >= 5 * RATE);
    let rss = process::rss_bytes(host.pid());
    load.go();
    let operations = load.report().operations;
    let status = host.status_when("the rows", Duration::from_secs(30), |status| {
        let ledger = status.ledger("file");
        status.balanced && ledger.decoded >= operations && ledger.in_flight == 0
    });
    measured(&format!("ready in {:.0?}, RSS {:.1} MiB at {RATE} records/s", host.started_in, rss as f64 / f64::from(1 << 20)));
    assert_eq!(status.paths.len(), 11, "{:#?}", status.paths);
    assert_eq!(status.ledger("file").lost_in_ring, 0);
    assert!(rss < RSS, "{} KiB", rss >> 10);
    host.stop();
}

#[test]
fn interpreted_all_plugins_are_unpacked_once_and_not_kept_so_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("host.toml");
    fs::write(&config, "[engine]\ninterpret = true\n").unwrap();
    let mut host = Host::run_binary(edge(), &[], &["--output", "none", "--config", config.to_str().unwrap()]);
    assert_eq!(host.status().paths.len(), 11);
    let rss = process::rss_bytes(host.pid());
    measured(&format!("RSS {:.1} MiB", rss as f64 / f64::from(1 << 20)));
    host.stop();
    assert!(rss < RSS_INTERPRETED, "{} KiB", rss >> 10);
}

#[test]
fn a_call_that_a_plugin_in_the_binary_failed_in_is_kept_with_its_code_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (config, state) = (path("host.toml"), path("state"));
    fs::write(&config, "[plugins.\"decoder.file\"]\nlimits = { output_rows = 1 }\n").unwrap();
    let arguments = ["--probe", "file", "--output", "none", "--config", &config, "--state-dir", &state];
    let mut host = Host::run_binary(edge(), &[], &arguments);
    let mut load = Load::paced(RATE, 60.0);
    load.go();
    let kept = || -> Option<String> {
        let listed = ask(edge(), &["plugin", "repro", "list", "--state-dir", &state, "--format", "json"]);
        let repros: serde_json::Value = serde_json::from_slice(&listed.stdout).ok()?;
        Some(repros.as_array()?.first()?["id"].as_str()?.to_owned())
    };
    let id = wait_for("a kept call", Duration::from_secs(30), kept);
    host.stop();
    let again = ask(edge(), &["plugin", "repro", "run", &id, "--state-dir", &state]);
    assert_eq!(again.status.code(), Some(0), "it fails again: {}{}", String::from_utf8_lossy(&again.stdout), stderr(&again));
}

#[test]
fn it_runs_code_of_whom_the_operator_trusts_and_no_other_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let sampler = Sampler::new();
    let digest = sampler.compile(HERE, "mine.cwasm");
    let config = sampler.path("host.toml");
    fs::write(&config, "").unwrap();
    let mut host = Host::run_binary(edge(), &[], &["--probe", "file", "--output", "none", "--config", &config]);
    let load = |name: &str| host.ask(&["plugin", "load", &sampler.path(name), "--slot", "sampler"]);

    refused(&load("mine.wasm"), &["this build has no compiler", &format!("host plugin compile FILE --target {HERE}")]);
    refused(&load("mine.cwasm"), &["not signed", "native-code", &digest]);

    sampler.answer_for(&format!("[[grants]]\ndigest = \"{digest}\""));
    let start = Instant::now();
    let loaded = load("mine.cwasm");
    measured(&format!("a compiled plugin is live {:.1?} after the command began", start.elapsed()));
    assert!(loaded.status.success(), "{}", stderr(&loaded));
    assert_eq!(host.status().plugin("file", "sampler").digest, digest);

    // The signed plugin is another file: a grant for the signer covers it.
    let key = sampler.path("us.key");
    let made = ask(edge(), &["plugin", "keygen", &key, "--format", "json"]);
    let public = serde_json::from_slice::<serde_json::Value>(&made.stdout).unwrap()["public_key"].as_str().unwrap().to_owned();
    let (from, to) = (sampler.path("mine.cwasm"), sampler.path("signed.cwasm"));
    assert!(ask(edge(), &["plugin", "sign", &from, "--key", &key, "-o", &to]).status.success());
    refused(&load("signed.cwasm"), &["native-code"]);
    sampler.answer_for(&format!("[signers]\nus = \"{public}\"\n[[grants]]\nsigner = \"us\""));
    let loaded = load("signed.cwasm");
    assert!(loaded.status.success(), "{}", stderr(&loaded));

    let mut tampered = fs::read(&to).unwrap();
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    fs::write(sampler.path("tampered.cwasm"), &tampered).unwrap();
    refused(&load("tampered.cwasm"), &["has not signed these bytes"]);
    // Without its signature no grant covers it.
    refused(&load("mine.cwasm"), &["not signed", "native-code"]);
    sampler.compile("pulley64", "interpreted.cwasm");
    let signed = sampler.path("interpreted.cwasm");
    assert!(ask(edge(), &["plugin", "sign", &signed, "--key", &key, "-o", &signed]).status.success());
    refused(&load("interpreted.cwasm"), &["pulley64", &format!("--target {HERE}")]);

    let back = host.ask(&["plugin", "rollback", "sampler"]);
    assert!(back.status.success(), "{}", stderr(&back));
    assert_eq!(host.status().plugin("file", "sampler").digest, digest);
    assert_eq!(
        ask(edge(), &["plugin", "compile", "sampler-ratio", "--target", HERE, "-o", "/dev/null"]).status.code(),
        Some(1)
    );
    host.stop();
}

#[test]
fn where_memory_must_not_be_executable_plugins_are_interpreted_and_every_row_is_counted_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let probed = Command::new(NO_EXECUTABLE_MEMORY[0]).args(&NO_EXECUTABLE_MEMORY[1..]).arg("/bin/true").status().unwrap();
    if probed.code() == Some(77) {
        return skip("this kernel cannot forbid executable memory to a process");
    }
    let sampler = Sampler::new();
    let (native, interpreted) = (sampler.compile(HERE, "native.cwasm"), sampler.compile("pulley64", "mine.cwasm"));
    let grant = |digest: &str| format!("[[grants]]\ndigest = \"{digest}\"\n");
    let config = sampler.answer_for(&format!("{}allow = [\"native-code\"]\n{}", grant(&native), grant(&interpreted)));
    let mut load = Load::paced(2_000, 60.0);
    let pid = load.pid().to_string();
    let arguments = ["--probe", "file", "--pid", &pid, "--output", "none", "--config", &config];
    let mut host = Host::run_binary(edge(), &NO_EXECUTABLE_MEMORY, &arguments);
    assert!(host.stderr().contains("forbids executable memory"), "{}", host.stderr());
    let loaded = host.ask(&["plugin", "load", &sampler.path("mine.cwasm"), "--slot", "sampler"]);
    assert!(loaded.status.success(), "{}", stderr(&loaded));
    refused(
        &host.ask(&["plugin", "load", &sampler.path("native.cwasm"), "--slot", "sampler"]),
        &["interprets", "--target pulley64"],
    );
    load.go();
    host.status_when("rows of a second", Duration::from_secs(30), |status| status.ledger("file").decoded >= 2_000);
    load.go();
    let operations = load.report().operations;
    let status = host.status_when("every row", Duration::from_secs(30), |status| {
        status.balanced && status.ledger("file").decoded == operations && status.ledger("file").in_flight == 0
    });
    assert_eq!((status.ledger("file").kept, status.ledger("file").undecodable), (operations, 0));
    host.stop();
}
