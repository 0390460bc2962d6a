//! See README.md.

use std::path::Path;
use std::process::Command;

use host_tests::daemon::{Host, stderr};
use host_tests::turn;

const REFUSED: i32 = 3;

fn unpacked(folder: &Path, name: &str) -> Vec<u8> {
    let unpacked =
        Command::new("gzip").arg("-dc").arg(super::file("corrupt_bpf_object", &format!("{name}.gz"))).output().unwrap();
    assert!(unpacked.status.success());
    std::fs::write(folder.join(name), &unpacked.stdout).unwrap();
    unpacked.stdout
}

/// Returns the same object with its first typedef made one of itself.
fn in_a_circle(object: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(object[at..at + 4].try_into().unwrap());
    let magic = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
    let btf = (0..object.len()).find(|at| object[*at..].starts_with(&magic)).unwrap();
    let (mut at, mut number) = (btf + 24 + word(btf + 8) as usize, 1);
    loop {
        let (kind, entries) = (word(at + 4) >> 24 & 0x1f, word(at + 4) as usize & 0xffff);
        if kind == 8 {
            let mut circle = object.to_vec();
            circle[at + 8..at + 12].copy_from_slice(&u32::to_le_bytes(number));
            return circle;
        }
        at += 12
            + [0, 4, 0, 12, 12 * entries, 12 * entries, 8 * entries, 0, 0, 0, 0, 0, 0, 8 * entries, 4, 12 * entries]
                [kind as usize];
        number += 1;
    }
}

#[test]
fn a_corrupt_object_is_refused_and_the_host_goes_on_needs_root() {
    let Some(_turn) = turn::turn_as_root() else { return };
    let folder = tempfile::tempdir().unwrap();
    let host = Host::run(&["--probe", "exec", "--output", "none"]);
    let whole = unpacked(folder.path(), "exec.bpf.o");
    unpacked(folder.path(), "l7.bpf.o");
    std::fs::write(folder.path().join("circle.bpf.o"), in_a_circle(&whole)).unwrap();
    for name in ["l7", "exec", "circle"] {
        let object = folder.path().join(format!("{name}.bpf.o"));
        // A running probe of the same name would be refused for that: these have names of their own.
        let given = folder.path().join(format!("corrupt-{name}.bpf.o"));
        std::fs::rename(object, &given).unwrap();
        let loaded = host.ask(&["probe", "load", given.to_str().unwrap()]);
        let said = stderr(&loaded);
        assert_eq!(loaded.status.code(), Some(REFUSED), "{name}: {said}");
        assert!(said.contains(&format!("corrupt-{name}")), "{said}");
        assert!(host.status().balanced, "{name}: it is at work");
    }
    let loaded = host.ask(&["probe", "load", "tcp"]);
    assert!(loaded.status.success(), "{}", stderr(&loaded));
}
