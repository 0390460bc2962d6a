//! The BPF objects in the kernel: programs, links and pins, as in `bpftool prog`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use libbpf_rs::query::{LinkInfoIter, ProgInfoIter};

/// Programs by id, links by id, pinned files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Id and name of each loaded program.
    pub programs: BTreeMap<u32, String>,
    /// Id of each link and of the program it runs.
    pub links: BTreeMap<u32, u32>,
    /// Paths below /sys/fs/bpf.
    pub pins: Vec<String>,
}

/// Returns the objects in the kernel now. Needs root.
#[must_use]
pub fn held() -> Held {
    let mut pins = Vec::new();
    walk(Path::new("/sys/fs/bpf"), &mut pins);
    Held {
        programs: ProgInfoIter::default().map(|program| (program.id, program.name.to_string_lossy().into_owned())).collect(),
        links: LinkInfoIter::default().map(|link| (link.id, link.prog_id)).collect(),
        pins,
    }
}

/// Returns the programs, links and pins in `after` that are not in `before`, one line each.
#[must_use]
pub fn left_behind(before: &Held, after: &Held) -> Vec<String> {
    let programs = after.programs.iter().filter(|(id, _)| !before.programs.contains_key(id));
    let links = after.links.iter().filter(|(id, _)| !before.links.contains_key(id));
    let pins = after.pins.iter().filter(|pin| !before.pins.contains(pin));
    programs
        .map(|(id, name)| format!("program {id} {name}"))
        .chain(links.map(|(id, program)| format!("link {id} of program {program}")))
        .chain(pins.map(|pin| format!("pin {pin}")))
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path().display().to_string());
        }
    }
}
