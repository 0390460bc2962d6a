//! Components that the host refuses to load: each with a reason and a cure, and the running plugins still run.

use std::fs;
use std::path::{Path, PathBuf};

use host_tests::daemon::{Host, PluginStatus, stderr};
use host_tests::load::Load;
use host_tests::turn::turn_as_root;

use crate::guests::{built_in, faulty};

/// One component that must be refused.
struct Refused {
    /// The problem, in our words.
    what: &'static str,
    file: PathBuf,
    slot: &'static str,
    config: Option<&'static str>,
    /// Texts of which the message must contain at least one.
    says: &'static [&'static str],
}

#[test]
fn what_is_refused_names_the_fault_and_the_cure_and_leaves_the_old_plugin_live_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut load = Load::paced(2_000, 120.0);
    let mut host = Host::run(&["--probe", "file", "--pid", &load.pid().to_string(), "--output", "none"]);
    load.go();
    let before = host.status();

    let mut wrong = Vec::new();
    for refused in all(folder.path()) {
        let loaded = host.load(&refused.file, refused.slot, refused.config);
        let said = stderr(&loaded);
        let lower = said.to_lowercase();
        let after = host.status();
        let stays = |plugin: &PluginStatus| {
            let now = after.plugin("file", &plugin.slot);
            (now.generation, &now.digest, &now.state) == (plugin.generation, &plugin.digest, &plugin.state)
        };
        let checks = [
            (loaded.status.code() == Some(3), "the exit code is not 3"),
            (refused.says.iter().any(|words| lower.contains(words)), "it does not say what is wrong"),
            (lower.contains("hint: "), "it names no cure"),
            (!said.contains(['\u{1b}', '\u{7}']), "the guest's text reaches the terminal raw"),
            (before.path("file").plugins.iter().all(stays), "the old plugins are not what they were"),
            (after.balanced, "the ledger does not balance"),
        ];
        let failed = checks.iter().filter(|(holds, _)| !holds);
        wrong.extend(failed.map(|(_, problem)| format!("{}: {problem}: {:?} {said:?}", refused.what, loaded.status)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let kept = host.status().ledger("file").kept;
    host.status_when("the old plugins to go on", std::time::Duration::from_secs(10), |status| {
        status.ledger("file").kept > kept
    });
    host.stop();
}

fn all(folder: &Path) -> Vec<Refused> {
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let sampler = fs::read(built_in(folder, "sampler-ratio")).unwrap();
    let faulty = faulty(folder);
    let misbehaving = |what, config, says| Refused { what, file: faulty.clone(), slot: "sampler", config: Some(config), says };
    let refused = |what, file, says| Refused { what, file, slot: "sampler", config: None, says };
    vec![
        refused("not wasm", file("text.wasm", b"#!/bin/sh\necho no\n"), &["not webassembly", "not wasm", "magic"]),
        refused("an empty file", file("empty.wasm", b""), &["empty"]),
        refused(
            "a truncated file",
            file("truncated.wasm", &sampler[..sampler.len() / 2]),
            &["truncated", "unexpected end", "cut"],
        ),
        refused("a directory", folder.to_path_buf(), &["directory"]),
        refused("nothing there", folder.join("absent.wasm"), &["no such file", "not found"]),
        refused("a core module", file("core.wasm", host_tests::guests::FAULTY_CORE), &["core webassembly module"]),
        refused("a component without a role", file("no-role.wasm", b"\0asm\x0d\0\x01\0"), &["role"]),
        refused("a contract from the future", file("future.wasm", &renamed(&sampler, b"@0.1.0", b"@9.1.0")), &["9.1.0"]),
        misbehaving("an error of its own in bind", r#"{"do": "refuse"}"#, &["must be between 0 and 1"]),
        misbehaving("a trap in bind", r#"{"do": "trap-in-bind"}"#, &["trap"]),
        misbehaving("an endless loop in bind", r#"{"do": "loop-in-bind"}"#, &["did not return within"]),
        misbehaving("memory over the cap", r#"{"do": "hoard-in-bind"}"#, &["memory"]),
        misbehaving("a field that is not there", r#"{"do": "want-what-is-not-there"}"#, &["999"]),
        Refused {
            what: "a configuration that it refuses in bind",
            file: built_in(folder, "sampler-ratio"),
            slot: "sampler",
            config: Some("{\"ratio\": \"often\"}"),
            says: &["ratio"],
        },
        Refused {
            what: "a record of another layout",
            file: built_in(folder, "decoder-tcp"),
            slot: "decoder.file",
            config: None,
            says: &["tcp_record"],
        },
        Refused {
            what: "a role that does not fit the slot",
            file: built_in(folder, "decoder-file"),
            slot: "sampler",
            config: None,
            says: &["sampler"],
        },
        Refused {
            what: "an import that is not granted",
            file: built_in(folder, "enricher-process"),
            slot: "enricher.other",
            config: None,
            says: &["tables"],
        },
    ]
}

/// Replaces every occurrence of a name by another of the same length.
fn renamed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut renamed = bytes.to_vec();
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for place in places {
        renamed[place..place + to.len()].copy_from_slice(to);
    }
    renamed
}
