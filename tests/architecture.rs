//! The laws of the architecture: the promises of ARCHITECTURE.md about structure, each a test that lists its offenders.
#![forbid(unsafe_code)]

#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/links.rs"]
mod links;
#[path = "architecture/rooms.rs"]
mod rooms;
#[path = "architecture/statements.rs"]
mod statements;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// The crates of the host and their levels. A crate depends only on lower levels. `bpf` and `plugins` hold the build output of C and of
/// guests: bytes, below everything.
const LEVELS: &[(&str, &str, u8)] = &[
    ("bpf", "bpf", 0),
    ("plugins", "plugins", 0),
    ("host/model", "host-model", 1),
    ("host/api", "host-api", 2),
    ("host/kernel", "host-kernel", 2),
    ("host/plugin", "host-plugin", 2),
    ("host/export", "host-export", 2),
    ("host/pipeline", "host-pipeline", 3),
    ("host/router", "host-router", 3),
    ("host/daemon", "host-daemon", 4),
    ("host/cli", "host", 5),
];

/// External crates that only some of ours may depend on, with the reason.
const OWNED: &[(&str, &[&str])] = &[
    ("wasmtime", &["host/plugin"]),
    ("wasmparser", &["host/plugin"]),
    ("libbpf-", &["host/kernel"]),
    ("object", &["host/kernel"]),
    ("tonic", &["host/export"]),
    ("reqwest", &["host/export"]),
    ("rustls", &["host/export"]),
    ("opentelemetry", &["host/export", "host/daemon"]),
    ("axum", &["host/daemon"]),
    ("clap", &["host/cli"]),
    ("anyhow", &["host/cli"]),
    ("comfy-table", &["host/cli"]),
    ("crossterm", &["host/cli"]),
    ("tokio", &["host/api", "host/export", "host/daemon", "host/cli"]),
];

/// The one file outside of host/kernel with unsafe code: machine code from outside becomes part of the process.
const UNSAFE_ROOM: (&str, &str) = ("host/plugin", "host/plugin/src/map.rs");

/// Files of the daemon and of plugins that read files or pipes directly, and why no thread waits for them. All others call
/// `host_kernel::file`: a path that an operator names may lead to a pipe, a device, or a mount that does not answer.
const READERS: &[(&str, &str)] = &[
    ("host/daemon/src/config.rs", "at the start, or within a deadline on a thread of its own"),
    ("host/daemon/src/probes/replay.rs", "within a deadline on a thread of its own"),
    ("host/daemon/src/report/process.rs", "/proc/self"),
    ("host/daemon/src/signals.rs", "/proc/self"),
    ("host/daemon/src/config/memory.rs", "/proc/self, and the limits of its own group"),
    ("host/daemon/src/control/socket.rs", "/proc, and its own lock, 16 bytes of it"),
    ("host/plugin/src/cache/folder.rs", "its own folder, without waiting"),
    ("host/plugin/src/apart.rs", "pipes of a process that it ends"),
    ("host/plugin/src/apart/inside.rs", "standard input of that process"),
];

/// Maximum number of lines of a room, its tests included.
const ROOM: usize = 500;

/// Names without a meaning.
const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "types"];

// === Crates ===

#[test]
fn a_crate_depends_only_on_lower_levels() {
    let level = |name: &str| LEVELS.iter().find(|(_, package, _)| *package == name).map(|(_, _, level)| *level);
    let mut offenders = Vec::new();
    for (folder, package, own) in LEVELS {
        for dependency in dependencies(folder, &["dependencies", "build-dependencies"]) {
            if level(&dependency).is_some_and(|other| other >= *own) {
                offenders.push(format!("{package} depends on {dependency}, which is not below it"));
            }
        }
    }
    none(&offenders);
}

#[test]
fn every_crate_of_the_host_has_a_level() {
    let known = |folder: &str| LEVELS.iter().any(|(listed, ..)| *listed == folder);
    let offenders: Vec<String> = crates().into_iter().filter(|folder| folder.starts_with("host/") && !known(folder)).collect();
    none(&offenders);
}

#[test]
fn a_crate_is_named_after_its_path() {
    let offenders = crates().into_iter().filter_map(|folder| {
        let name = manifest(&folder)["package"]["name"].as_str()?.to_owned();
        let expected = match folder.as_str() {
            "host/cli" => "host".to_owned(),
            "plugins/sdk" => "plugin-sdk".to_owned(),
            "tests" => "host-tests".to_owned(),
            "examples/polyglot/rust" => "polyglot-rust".to_owned(),
            _ if folder.starts_with("host/") => folder.replace('/', "-"),
            _ => folder.rsplit('/').next()?.to_owned(),
        };
        (name != expected).then(|| format!("{folder} is named {name}, not {expected}"))
    });
    none(&offenders.collect::<Vec<_>>());
}

#[test]
fn a_plugin_knows_the_sdk_and_nothing_of_the_host() {
    let mut offenders = Vec::new();
    let of_guests = ["plugins/", "examples/"];
    for folder in crates().iter().filter(|folder| of_guests.iter().any(|start| folder.starts_with(start))) {
        for dependency in dependencies(folder, &["dependencies"]) {
            if dependency.starts_with("host") || ["bpf", "plugins"].contains(&dependency.as_str()) {
                offenders.push(format!("{folder} depends on {dependency}"));
            }
        }
    }
    none(&offenders);
}

#[test]
fn an_outside_crate_has_the_owner_it_should_have() {
    let mut offenders = Vec::new();
    for (folder, package, _) in LEVELS {
        for dependency in dependencies(folder, &["dependencies", "build-dependencies"]) {
            for (owned, owners) in OWNED {
                if dependency.starts_with(owned) && !owners.contains(folder) {
                    offenders.push(format!("{package} depends on {dependency}, which belongs to {}", owners.join(" and ")));
                }
            }
        }
    }
    none(&offenders);
}

#[test]
fn every_crate_keeps_the_lints_of_the_workspace() {
    let keeps = |folder: &str| manifest(folder).get("lints").is_some_and(|lints| lints["workspace"].as_bool() == Some(true));
    // All of `tests` is test code.
    let is_test = |folder: &str| folder == "tests" || folder.starts_with("tests/");
    none(&crates().into_iter().filter(|folder| !is_test(folder) && !keeps(folder)).collect::<Vec<_>>());
}

// === Unsafe ===

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_host_kernel_and_one_room() {
    let (folder, room) = UNSAFE_ROOM;
    let mut offenders = Vec::new();
    for (folder, ..) in LEVELS.iter().filter(|(other, ..)| *other != "host/kernel" && *other != folder) {
        for door in ["src/lib.rs", "src/main.rs"].map(|door| root().join(folder).join(door)) {
            if door.exists() && !read(&door).contains("#![forbid(unsafe_code)]") {
                offenders.push(relative(&door));
            }
        }
    }
    if !read(&root().join(folder).join("src/lib.rs")).contains("#![deny(unsafe_code)]") {
        offenders.push(format!("{folder}/src/lib.rs"));
    }
    for file in files(&["rs"]).iter().filter(|file| file.starts_with(root().join(folder).join("src"))) {
        let lifted = read(file).contains("allow(unsafe_code") || read(file).contains("expect(unsafe_code");
        if lifted != (relative(file) == room) {
            offenders.push(relative(file));
        }
    }
    none(&offenders);
    assert_eq!(read(&root().join(room)).matches("unsafe {").count(), 1, "one block, in {room}");
}

#[test]
fn every_unsafe_block_says_why_it_is_safe() {
    let mut offenders = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| file.starts_with(root().join("host"))) {
        let text = read(file);
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let is_unsafe = ["unsafe {", "unsafe impl "].iter().any(|word| code.contains(word));
            let reason = lines[index.saturating_sub(6)..=index].iter().any(|line| line.contains("SAFETY:"));
            if is_unsafe && !reason {
                offenders.push(format!("{}:{}", relative(file), index + 1));
            }
        }
    }
    none(&offenders);
}

// === Waiting ===

#[test]
fn a_file_that_others_name_is_read_by_the_rooms_that_wait_for_nothing() {
    let readers = ["fs::read(", "fs::read_to_string(", "File::open(", ".read_to_end("];
    let mut offenders = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| {
        ["host/daemon/src", "host/plugin/src", "host/pipeline/src", "host/router/src"]
            .iter()
            .any(|folder| file.starts_with(root().join(folder)))
    }) {
        let text = read(file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let known = READERS.iter().any(|(room, _)| relative(file) == *room);
        if known != readers.iter().any(|reader| code.contains(reader)) {
            offenders.push(relative(file));
        }
    }
    none(&offenders);
}

// === Rooms ===

#[test]
fn a_room_has_at_most_500_lines() {
    let rooms = files(&["rs", "c", "h", "wit"]).into_iter().filter(|file| !is_vendored(file));
    let long = rooms.map(|file| (read(&file).lines().count(), file)).filter(|(lines, _)| *lines > ROOM);
    none(&long.map(|(lines, file)| format!("{}: {lines} lines", relative(&file))).collect::<Vec<_>>());
}

#[test]
fn no_room_is_nameless() {
    let stem = |file: &Path| file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let nameless = |file: &&PathBuf| {
        let named = |part: &str| NAMELESS.contains(&part);
        named(&stem(file)) || relative(file).split('/').any(named)
    };
    none(&files(&["rs", "c", "h", "wit"]).iter().filter(nameless).map(|file| relative(file)).collect::<Vec<_>>());
}

#[test]
fn submodules_are_foo_rs_beside_foo() {
    let offends = |file: &&PathBuf| {
        let stem = file.file_stem();
        // In a `tests` folder cargo takes every other name for a test of its own; and a report is a folder with all its files.
        let is_mod = stem.is_some_and(|stem| stem == "mod") && !format!("/{}", relative(file)).contains("/tests/");
        is_mod || stem == file.parent().and_then(Path::file_name)
    };
    none(&files(&["rs"]).iter().filter(offends).map(|file| relative(file)).collect::<Vec<_>>());
}

#[test]
fn every_door_says_what_is_behind_it() {
    let is_door = |file: &PathBuf| file.ends_with("src/lib.rs") || file.ends_with("src/main.rs");
    let silent = |file: &PathBuf| !read(file).trim_start().starts_with("//!");
    let doors = files(&["rs"]).into_iter().filter(|file| is_door(file) && silent(file));
    none(&doors.map(|file| relative(&file)).collect::<Vec<_>>());
}

#[test]
fn every_folder_at_the_top_and_every_crate_has_a_readme() {
    let mut folders = crates();
    let top = entries(&root()).into_iter().filter(|path| path.is_dir());
    folders.extend(top.map(|path| relative(&path)));
    folders.sort();
    folders.dedup();
    folders.retain(|folder| !root().join(folder).join("README.md").exists());
    none(&folders);
}

#[test]
fn every_probe_and_every_plugin_has_the_same_rooms() {
    let mut offenders = Vec::new();
    let mut expect = |folder: &Path, rooms: &[&str]| {
        offenders.extend(rooms.iter().map(|room| folder.join(room)).filter(|room| !room.exists()).map(|room| relative(&room)));
    };
    for probe in entries(&root().join("bpf")).iter().filter(|path| path.join("record.h").exists()) {
        expect(probe, &["probe.bpf.c", "README.md"]);
        let name = probe.file_name().unwrap_or_default().to_string_lossy();
        // Payload has a decoder for each protocol.
        let decoder = if name == "l7" { "decoder-http".to_owned() } else { format!("decoder-{name}") };
        expect(&root().join("plugins").join(decoder), &["Cargo.toml"]);
    }
    for plugin in entries(&root().join("plugins")).iter().filter(|path| path.join("Cargo.toml").exists()) {
        expect(plugin, &["README.md", "src/lib.rs"]);
    }
    none(&offenders);
}

// === Text ===

#[test]
fn a_wit_folder_holds_the_version_it_is_named_after() {
    let mut offenders = Vec::new();
    for folder in entries(&root().join("wit")).into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(version) = name.strip_prefix('v') else { continue };
        let expected = format!("package probe:plugin@{version}.");
        let rooms: Vec<_> =
            entries(&folder).into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "wit")).collect();
        let declared = |path: &PathBuf| read(path).lines().any(|line| line.starts_with(&expected));
        let other =
            |path: &PathBuf| read(path).lines().any(|line| line.starts_with("package ") && !line.starts_with(&expected));
        if !rooms.iter().any(declared) || rooms.iter().any(other) {
            offenders.push(format!("wit/{name} does not hold `{expected}*` alone"));
        }
    }
    none(&offenders);
}

#[test]
fn nothing_names_a_place_on_the_machine_it_was_written_on() {
    let places = ["/work/", "/root/", "/home/", "/tmp/t-"];
    let mut offenders = Vec::new();
    for file in files(&["rs", "c", "h", "wit", "md", "toml", "sh", "json"]) {
        if file.file_name().is_some_and(|name| name == "architecture.rs") {
            continue;
        }
        for (index, line) in read(&file).lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                offenders.push(format!("{}:{}: {}", relative(&file), index + 1, line.trim()));
            }
        }
    }
    none(&offenders);
}

#[test]
fn no_test_is_put_aside_and_nothing_is_left_to_do() {
    let words = ["#[ignore", "todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"];
    let mut offenders = Vec::new();
    for file in files(&["rs", "c", "h", "wit"]) {
        if is_vendored(&file) || file.file_name().is_some_and(|name| name == "architecture.rs") {
            continue;
        }
        for (index, line) in read(&file).lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                offenders.push(format!("{}:{}: {}", relative(&file), index + 1, line.trim()));
            }
        }
    }
    none(&offenders);
}

// === The house, read ===

fn none(offenders: &[String]) {
    assert!(offenders.is_empty(), "{} offender(s):\n  {}", offenders.len(), offenders.join("\n  "));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Whether a header is the work of others: the kernel's types, and libbpf's.
fn is_vendored(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "vmlinux.h") || relative(file).starts_with("bpf/include/bpf/")
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Returns the entries of a folder, without hidden ones and build output.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && !["target", "dist"].contains(&name.as_ref())
    });
    paths.sort();
    paths
}

/// Returns every file of the repository with one of these extensions.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
                found.push(path);
            }
        }
    }
    found
}

/// Returns the folders of all members of the workspace.
fn crates() -> Vec<String> {
    let members = manifest("")["workspace"]["members"].as_array().unwrap().clone();
    let listed = members.iter().map(|member| member.as_str().unwrap().to_owned());
    // `plugins/decoder-*` stands for every folder that matches.
    listed
        .flat_map(|member| match member.split_once('*') {
            None => vec![member],
            Some((before, _)) => {
                let parent = root().join(before).parent().map(Path::to_path_buf).unwrap_or_default();
                let folders = entries(&parent).into_iter().filter(|path| path.join("Cargo.toml").exists());
                folders.map(|path| relative(&path)).filter(|path| path.starts_with(before)).collect()
            }
        })
        .collect()
}

fn manifest(folder: &str) -> Table {
    read(&root().join(folder).join("Cargo.toml")).parse().unwrap()
}

/// Returns the names of the dependencies in these sections, also of those for some targets only.
fn dependencies(folder: &str, sections: &[&str]) -> Vec<String> {
    let manifest = manifest(folder);
    let mut tables = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(|targets| targets.as_table()) {
        tables.extend(targets.values().filter_map(|target| target.as_table()));
    }
    let mut names = BTreeMap::new();
    for table in tables {
        for section in sections.iter().filter_map(|section| table.get(*section)?.as_table()) {
            names.extend(section.iter().map(|(name, value)| (package(name, value), ())));
        }
    }
    names.into_keys().collect()
}

/// Returns the package of a dependency, which may be renamed.
fn package(name: &str, value: &toml::Value) -> String {
    value.get("package").and_then(|package| package.as_str()).unwrap_or(name).to_owned()
}
