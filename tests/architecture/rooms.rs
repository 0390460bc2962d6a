//! The rooms of the decoders: a reader who knows one decoder finds the same idea under the same name in all others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{entries, none, read, relative, root};

/// The rooms of every decoder of conversations.
const CONVERSATIONS: &[&str] =
    &["src/recognise.rs", "src/attributes.rs", "src/waiting.rs", "src/matching.rs", "tests/golden.rs", "tests/beginnings.rs"];

/// The rooms of every decoder of events.
const EVENTS: &[&str] = &["src/attributes.rs", "tests/golden.rs"];

/// Names for a room that has a name already.
const SYNONYMS: &[(&str, &str)] = &[
    ("beginning", "recognise"),
    ("detect", "recognise"),
    ("sheet", "attributes"),
    ("schema", "attributes"),
    ("exchange", "attributes"),
    ("row", "attributes"),
    ("pairs", "matching"),
    ("exchanges", "matching"),
    ("lookups", "matching"),
    ("answers", "matching"),
    ("call", "waiting"),
    ("pending", "waiting"),
    ("session", "connection"),
    ("code", "vocabulary"),
    ("codes", "vocabulary"),
    ("words", "vocabulary"),
    ("command", "vocabulary"),
    ("method", "vocabulary"),
    ("config", "settings"),
    ("options", "settings"),
    ("hostile", "advisories"),
];

/// Text that a room must contain, so that its name is true.
const SAYS: &[(&str, &[&str])] = &[
    ("src/recognise.rs", &["pub(crate) fn description()", "pub(crate) fn recognise("]),
    ("src/attributes.rs", &["pub(crate) fn sheet(", "pub(crate) fn table("]),
    ("src/settings.rs", &["struct Settings"]),
];

/// Minimum and maximum number of lines of a room of a decoder, its tests included.
const LINES: std::ops::RangeInclusive<usize> = 30..=400;

#[test]
fn every_decoder_of_conversations_has_the_same_rooms() {
    let decoders = decoders();
    assert_eq!(decoders.values().filter(|decoder| decoder.has_conversations).count(), 7, "they are found");
    let rooms = |decoder: &Decoder| if decoder.has_conversations { CONVERSATIONS } else { EVENTS };
    let lacks = |(name, decoder): (&String, &Decoder)| {
        let missing = rooms(decoder).iter().filter(|room| !decoder.rooms.contains(**room));
        missing.map(|room| format!("decoder-{name} has no {room}")).collect::<Vec<_>>()
    };
    none(&decoders.iter().flat_map(lacks).collect::<Vec<_>>());
}

#[test]
fn every_decoder_of_a_probe_has_its_record() {
    let has_record = |name: &str| root().join("bpf").join(name).join("record.h").exists();
    let lacks = |(name, decoder): &(&String, &Decoder)| has_record(name) && !decoder.rooms.contains("src/record.rs");
    none(&decoders().iter().filter(lacks).map(|(name, _)| format!("decoder-{name} has no src/record.rs")).collect::<Vec<_>>());
}

#[test]
fn no_room_of_a_decoder_has_a_second_name() {
    let mut offenders = Vec::new();
    for (name, decoder) in &decoders() {
        for room in &decoder.rooms {
            let stem = Path::new(room).file_stem().unwrap_or_default();
            if let Some((_, better)) = SYNONYMS.iter().find(|(synonym, _)| stem == *synonym) {
                offenders.push(format!("decoder-{name}/{room} is called {better}.rs in the others"));
            }
        }
    }
    none(&offenders);
}

#[test]
fn a_room_of_a_decoder_has_what_its_name_says_and_no_other_has_it() {
    let mut offenders = Vec::new();
    for (name, decoder) in &decoders() {
        for room in decoder.rooms.iter().filter(|room| room.starts_with("src/")) {
            let text = read(&decoder.folder.join(room));
            for (owner, marks) in SAYS {
                let says = marks.iter().filter(|mark| text.contains(**mark)).count();
                // A row belongs to a sheet or to a table.
                let expected = if *owner == "src/attributes.rs" { 1 } else { marks.len() };
                if says != if room == owner { expected } else { 0 } {
                    offenders.push(format!("decoder-{name}/{room}: {} belongs into {owner}", marks.join(" and ")));
                }
            }
        }
    }
    none(&offenders);
}

#[test]
fn a_room_of_a_decoder_has_30_to_400_lines() {
    let mut offenders = Vec::new();
    for decoder in decoders().values() {
        for room in decoder.rooms.iter().filter(|room| room.starts_with("src/") && *room != "src/lib.rs") {
            let lines = read(&decoder.folder.join(room)).lines().count();
            if !LINES.contains(&lines) {
                offenders.push(format!("{}: {lines} lines", relative(&decoder.folder.join(room))));
            }
        }
    }
    none(&offenders);
}

/// The table of rooms in plugins/README.md has a line for each room that two decoders have, and names those that have it.
#[test]
fn the_table_of_rooms_is_true() {
    let decoders = decoders();
    let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, decoder) in &decoders {
        for room in decoder.rooms.iter().filter(|room| *room != "src/lib.rs") {
            owners.entry(room).or_default().insert(name);
        }
    }
    let text = read(&root().join("plugins/README.md"));
    let all = |is_meant: fn(&Decoder) -> bool| -> BTreeSet<&str> {
        decoders.iter().filter(|(_, decoder)| is_meant(decoder)).map(|(name, _)| &**name).collect()
    };
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [room, _, who] = cells[..] else { continue };
        let rooms = room.split(", ").filter_map(|room| room.strip_prefix('`')?.strip_suffix(".rs`"));
        let names = match who {
            "all" => all(|_| true),
            "conversations" => all(|decoder| decoder.has_conversations),
            "events" => all(|decoder| !decoder.has_conversations),
            _ => who.split(", ").collect(),
        };
        told.extend(rooms.map(|room| (room, names.clone())));
    }
    let mut offenders = Vec::new();
    for (room, owners) in owners.iter().filter(|(_, owners)| owners.len() > 1) {
        let room = room.trim_end_matches(".rs");
        if told.get(room) != Some(owners) {
            offenders.push(format!("{room}.rs: {owners:?} have it, the table says {:?}", told.get(room)));
        }
    }
    for room in told.keys().filter(|room| owners.get(&*format!("{room}.rs")).is_none_or(|owners| owners.len() < 2)) {
        offenders.push(format!("{room}.rs stands in the table, and no two decoders have it"));
    }
    none(&offenders);
}

// === The decoders, read ===

/// A folder of `plugins/`.
struct Decoder {
    folder: PathBuf,
    /// Whether it decodes conversations; else events.
    has_conversations: bool,
    /// `src/lib.rs`, `tests/golden.rs`: files of these two folders, not of those below.
    rooms: BTreeSet<String>,
}

/// Returns all decoders, by the names of their probes or protocols.
fn decoders() -> BTreeMap<String, Decoder> {
    let decoder = |folder: PathBuf| {
        let name = folder.file_name()?.to_str()?.strip_prefix("decoder-")?.to_owned();
        let has_conversations = read(&folder.join("src/lib.rs")).contains("plugin_sdk::export!(protocol:");
        let files = ["src", "tests"].map(|part| entries(&folder.join(part))).concat();
        let rooms = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
        let rooms = rooms.filter_map(|file| Some(file.strip_prefix(&folder).ok()?.to_str()?.to_owned())).collect();
        Some((name, Decoder { folder, has_conversations, rooms }))
    };
    entries(&root().join("plugins")).into_iter().filter_map(decoder).collect()
}
