//! Objects of users, and the errors for those that cannot be loaded.

use std::path::Path;
use std::process::Command;

use host_kernel::{KernelError, LoadOptions, LoadedProbe};
use host_model::{Filter, MapError};

use crate::reading::Probe;

const HEADERS: &str = "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n";
const RECORD: &str = "struct mine_record { __u32 pid; int value; enum { A, B } kind; char name[8]; __u8 raw[3]; };\n";

/// Compiles a source with the headers for users.
pub(crate) fn compile(name: &str, source: &str) -> Vec<u8> {
    let c = std::env::temp_dir().join(format!("host-kernel-{name}-{}.bpf.c", std::process::id()));
    std::fs::write(&c, format!("{HEADERS}{source}")).unwrap();
    let object = compile_file(name, &c);
    std::fs::remove_file(c).unwrap();
    object
}

fn compile_file(name: &str, c: &Path) -> Vec<u8> {
    let bpf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bpf/include");
    let o = std::env::temp_dir().join(format!("host-kernel-{name}-{}.bpf.o", std::process::id()));
    let clang = std::env::var("BPF_CLANG").unwrap_or_else(|_| "clang".into());
    let arch = if cfg!(target_arch = "x86_64") { "x86" } else { "arm64" };
    let compiled = Command::new(clang)
        .args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror", "-I"])
        .arg(bpf)
        .args([&format!("-D__TARGET_ARCH_{arch}"), "-c", c.to_str().unwrap(), "-o", o.to_str().unwrap()])
        .status();
    assert!(compiled.unwrap().success());
    let object = std::fs::read(&o).unwrap();
    std::fs::remove_file(o).unwrap();
    object
}

fn load(name: &str, object: &[u8], options: &LoadOptions) -> Result<LoadedProbe, KernelError> {
    host_kernel::load(name, object, options)
}

fn refusal(name: &str, object: &[u8]) -> String {
    load(name, object, &LoadOptions::default()).err().unwrap().to_string()
}

#[test]
fn what_is_no_bpf_object_is_called_what_it_is() {
    assert!(refusal("x", b"").contains("the file is empty"));
    assert!(refusal("x", b"#!/bin/sh\n").contains("not an ELF file"));
    assert!(refusal("x", b"\0asm\x01\0\0\0").contains("WebAssembly"));
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(refusal("x", &own).contains("not for the BPF machine"));
    let truncated = &host_kernel::catalog::find("file").unwrap().object[..4000];
    assert!(refusal("x", truncated).contains("not a BPF object"));
}

/// Tiny, so that two thousand variants are tried quickly.
const TINY: &str = "#include \"ring.h\"\nRING_RECORD(mine_record);\n\
    typedef __u64 word_type; struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, word_type); } seen SEC(\".maps\");\n\
    SEC(\"raw_tp/sched_process_exec\") int watch_this(void *ctx) { struct mine_record *r = ring_reserve(sizeof(*r));\n\
      if (!r) return 0; r->value = 1; ring_submit(r); return 0; }\n";

/// Changes one byte of it, `round` after `round`: to another value, or to one that is invalid UTF-8.
fn mutated(honest: &[u8], round: usize) -> Vec<u8> {
    let at = round.wrapping_mul(2_654_435_761) % honest.len();
    let mut object = honest.to_vec();
    object[at] = if round.is_multiple_of(2) { 0xff } else { object[at] ^ (1 << (round / 2 % 8)) };
    object
}

/// Whether an error is printable on a terminal and in a log, for any names in the object.
fn is_fit(error: &KernelError) -> bool {
    let text = error.to_string();
    text.starts_with("probe `") && text.len() < 8192 && !text.chars().any(|it| it.is_control() && it != '\n')
}

#[test]
fn two_thousand_corrupt_objects_are_each_opened_or_refused() {
    let honest = compile("corrupt", &format!("{RECORD}{TINY}"));
    let mut refused = 0;
    for round in 0..2000 {
        if let Err(error) = host_kernel::hooks("corrupt", &mutated(&honest, round)) {
            assert!(is_fit(&error), "{round}: {error:?}");
            refused += 1;
        }
    }
    assert!((20..1900).contains(&refused), "{refused}");
}

#[test]
fn corrupt_objects_are_each_loaded_or_refused_needs_root() {
    needs_root!();
    let honest = compile("corrupt-load", &format!("{RECORD}{TINY}"));
    let options = LoadOptions { ring_bytes: Some(4096), max_entries: vec![("seen".into(), 1)], ..LoadOptions::default() };
    for round in 0..400 {
        let object = mutated(&honest, round);
        let loaded = load("corrupt", &object, &options).and_then(|mut loaded| loaded.attach());
        assert!(loaded.as_ref().err().is_none_or(is_fit), "{round}: {loaded:?}");
    }
}

#[test]
fn names_that_are_no_text_are_told_as_far_as_they_are_needs_root() {
    needs_root!();
    let honest = compile("names", &format!("{RECORD}{TINY}"));
    // Names of the program, the map and the type, in every table that has them.
    for name in ["watch_this", "seen", "word_type", "raw_tp/sched_process_exec", "mine_record", ".maps", ".data.ring", "value"]
    {
        let mut object = honest.clone();
        for at in 0..object.len() - name.len() {
            if object[at..].starts_with(name.as_bytes()) {
                object[at + name.len() / 2] = 0xfe;
            }
        }
        assert_ne!(object, honest, "{name}");
        let told = load(name, &object, &LoadOptions::default()).and_then(|mut loaded| loaded.attach());
        assert!(told.as_ref().err().is_none_or(is_fit), "{name}: {told:?}");
    }
}

#[test]
fn a_probe_is_not_attached_to_a_pipe_that_nobody_writes_needs_root() {
    needs_root!();
    let pipe = std::env::temp_dir().join(format!("host-kernel-pipe-{}", std::process::id()));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let source = format!(
        "{RECORD}#include \"ring.h\"\nRING_RECORD(mine_record);\nSEC(\"uprobe/{}:main\") int p(void *ctx) {{ return 0; }}\n",
        pipe.display()
    );
    let mut loaded = load("pipe", &compile("pipe", &source), &LoadOptions::default()).unwrap();
    let error = loaded.attach().unwrap_err().to_string();
    std::fs::remove_file(&pipe).unwrap();
    assert!(error.contains("not a file"), "{error}");
}

#[test]
fn an_object_without_ring_or_record_is_refused_with_the_cure() {
    let empty = compile("no-record", "SEC(\"raw_tp/sys_enter\") int p(void *c) { return 0; }\n");
    assert!(refusal("no-record", &empty).contains("RING_RECORD"), "{}", refusal("no-record", &empty));
    let source = format!(
        "{RECORD}struct mine_record *type SEC(\".data.type\");\nSEC(\"raw_tp/sys_enter\") int p(void *c) {{ return 0; }}\n"
    );
    let no_ring = compile("no-ring", &source);
    assert!(refusal("no-ring", &no_ring).contains("BPF_MAP_TYPE_RINGBUF"), "{}", refusal("no-ring", &no_ring));
}

const MINE: &str = "#include \"ring.h\"\nRING_RECORD(mine_record);\n\
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __type(key, __u32); __type(value, __u64); } seen SEC(\".maps\");\n\
    SEC(\"tp_btf/sched_process_exec\") int p(void *ctx) {\n\
      struct mine_record *r = ring_reserve(sizeof(*r)); __u32 key = 7; __u64 one = 1;\n\
      bpf_map_update_elem(&seen, &key, &one, BPF_ANY);\n\
      if (!r) return 0;\n\
      r->pid = bpf_get_current_pid_tgid() >> 32; r->value = -3; r->kind = B;\n\
      __builtin_memcpy(r->name, \"mine\", 5); ring_submit(r); return 0; }\n";

#[test]
fn a_users_object_is_loaded_read_and_its_maps_are_there_needs_root() {
    needs_root!();
    let object = compile("mine", &format!("{RECORD}{MINE}"));
    let options = LoadOptions { max_entries: vec![("seen".into(), 99)], ..LoadOptions::default() };
    let mut loaded = load("mine", &object, &options).unwrap();
    loaded.attach().unwrap();
    assert_eq!(loaded.hooks(), ["tp_btf/sched_process_exec"]);
    let kinds: Vec<_> =
        loaded.layout().members.iter().map(|member| format!("{} {:?} {}", member.name, member.kind, member.size)).collect();
    assert_eq!(kinds, ["pid Unsigned 4", "value Signed 4", "kind Unsigned 4", "name Chars 8", "raw Bytes 3"]);
    let maps = loaded.maps();
    let source = loaded.source().unwrap();
    let mut probe = Probe { loaded, source };
    let child = Command::new("/bin/sleep").arg("0").spawn().unwrap().wait_with_output();
    assert!(child.unwrap().status.success());
    let records = probe.drain_at_least(1);
    assert!(
        records
            .iter()
            .all(|record| record.number("value") == -3 && record.number("kind") == 1 && record.text("name") == "mine")
    );
    assert_eq!(maps.lookup("seen", &7_u32.to_ne_bytes()), Ok(Some(1_u64.to_ne_bytes().to_vec())));
    assert_eq!(maps.lookup("seen", &8_u32.to_ne_bytes()), Ok(None));
    assert_eq!(maps.lookup("seen", &[0; 3]), Err(MapError::Size(4)));
    assert_eq!(maps.lookup("ring", &[]), Err(MapError::NoMap), "the ring is the host's");
    for key in 100..198_u32 {
        maps.update("seen", &key.to_ne_bytes(), &5_u64.to_ne_bytes()).unwrap();
    }
    assert_eq!(maps.update("seen", &900_u32.to_ne_bytes(), &5_u64.to_ne_bytes()), Err(MapError::Kernel(7)), "99 entries");
    maps.delete("seen", &100_u32.to_ne_bytes()).unwrap();
}

#[test]
fn options_that_an_object_cannot_follow_are_refused_needs_root() {
    needs_root!();
    let object = compile("deaf", &format!("{RECORD}{MINE}"));
    let filter = Filter { pid: Some(1), ..Filter::default() };
    let error = load("deaf", &object, &LoadOptions { filter, ..LoadOptions::default() }).err().unwrap();
    assert!(matches!(error, KernelError::NoFilter { .. }), "{error}");
    let max_entries = vec![("sean".into(), 1)];
    let error = load("deaf", &object, &LoadOptions { max_entries, ..LoadOptions::default() }).err().unwrap().to_string();
    assert!(error.contains("no map `sean`") && error.contains("seen"), "{error}");
}

#[test]
fn a_verifier_refusal_ends_with_its_reason_needs_root() {
    needs_root!();
    let source = format!(
        "{RECORD}#include \"ring.h\"\nRING_RECORD(mine_record);\nSEC(\"raw_tp/sys_enter\") int bad(__u64 *ctx) {{ return *(int *)ctx[0]; }}\n"
    );
    let error = refusal("bad", &compile("bad", &source));
    assert!(error.contains("prog 'bad'") && error.contains("invalid mem access"), "{error}");
}

#[test]
fn a_hook_that_is_not_there_is_named_needs_root() {
    needs_root!();
    let source = format!(
        "{RECORD}#include \"ring.h\"\nRING_RECORD(mine_record);\nSEC(\"tp/syscalls/sys_enter_none\") int p(void *ctx) {{ return 0; }}\n"
    );
    let mut loaded = load("hookless", &compile("hookless", &source), &LoadOptions::default()).unwrap();
    let error = loaded.attach().unwrap_err().to_string();
    assert!(error.contains("tp/syscalls/sys_enter_none") && error.contains("no such tracepoint"), "{error}");
    assert!(loaded.hooks().is_empty());
}

#[test]
fn the_example_of_a_custom_probe_sees_signals_needs_root() {
    needs_root!();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/custom-probe/signal.bpf.c");
    let filter = Filter { pid: Some(std::process::id()), ..Filter::default() };
    let options = LoadOptions { filter, exclude_pid: None, ..LoadOptions::default() };
    let mut loaded = load("signal", &compile_file("signal", &source), &options).unwrap();
    loaded.attach().unwrap();
    let source = loaded.source().unwrap();
    let mut probe = Probe { loaded, source };
    let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let records = probe.drain();
    let killed = records.iter().find(|record| record.number("target_pid") == i64::from(child.id())).unwrap();
    assert_eq!((killed.number("signal"), killed.number("result"), killed.number("pid")), (9, 0, i64::from(std::process::id())));
}
