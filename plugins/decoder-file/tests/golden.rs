//! Records as the BPF program lays them out, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_file::{Decoder, FileRecord};
use plugin_sdk::testing::{Draft, decode_all, header_layout, run, words};
use plugin_sdk::{Config, Decoder as _, FieldUse, Record};

const HEADER: &str = include_str!("../../../bpf/file/record.h");

fn decoder() -> Decoder {
    Decoder::bind("file", &FileRecord::layout().unwrap(), Config::new("{}")).unwrap()
}

fn open(path: &str) -> Draft {
    Draft::new(header_layout(HEADER, "file_record").unwrap())
        .put("time_ns", 1_000_000_007)
        .put("duration_ns", 2_500)
        .put("cgroup_id", 4242)
        .put("threshold", 1 << 55)
        .put("pid", 4711)
        .put("tid", 4712)
        .put("uid", 1000)
        .put("ret", 5)
        .put("flags", 0o101)
        .put("mode", 0o644)
        .bytes("comm", b"nginx\0garbage")
        .bytes("path", path.as_bytes())
}

#[test]
fn the_record_is_the_one_in_the_header() {
    assert_eq!(FileRecord::layout(), header_layout(HEADER, "file_record"));
}

#[test]
fn an_open_that_succeeded_becomes_this_row() {
    let record = open("/etc/hosts\0").finish();
    assert_eq!(
        decode_all(&mut decoder(), &run([&record[..]])).unwrap(),
        [[
            "time=1000000007",
            "duration=2500",
            "error.type=",
            "kernel.threshold=36028797018963968",
            "file.path=/etc/hosts",
            "file.open.access=write",
            "thread.name=nginx",
            "process.pid=4711",
            "thread.id=4712",
            "process.real_user.id=1000",
            "linux.cgroup.id=4242",
            "file.open.flags=65",
            "file.mode=0644",
        ]]
    );
}

#[test]
fn an_open_that_failed_carries_its_errno() {
    let failed = |ret| open("/nowhere\0").put("ret", ret).finish();
    let records = [failed(-2), failed(-13), failed(-4000), failed(0)];
    let mut decoder = decoder();
    let error = decoder.schema().used(FieldUse::Error).unwrap();
    let decoded = decoder.decode(&run(records.iter().map(Vec::as_slice)), &[error]).unwrap();
    assert_eq!(words(&decoded.columns[0]), ["ENOENT", "EACCES", "_OTHER", ""]);
}

#[test]
fn short_and_garbage_records_never_panic_and_the_short_are_undecodable() {
    let whole = open("/etc/hosts\0").finish();
    for length in 0..whole.len() {
        let cut = &whole[..length];
        let rows = decode_all(&mut decoder(), &run([cut, &whole])).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1] == ["#0"], length < 72, "{length} bytes");
    }
    let garbage: Vec<u8> = (0..200_u8).map(|byte| byte.wrapping_mul(37) | 0x80).collect();
    let row = decode_all(&mut decoder(), &run([&garbage[..]])).unwrap().remove(0);
    assert!(row.iter().any(|value| value.contains('\u{fffd}')), "{row:?}");
}

#[test]
fn what_was_kept_is_completed_from_the_run_of_the_last_decode() {
    let records: Vec<_> = ["/a\0", "/b\0", "/c\0"].iter().map(|path| open(path).finish()).collect();
    let run = run(records.iter().map(Vec::as_slice));
    let mut decoder = decoder();
    let path = decoder.schema().named("file.path").unwrap();
    decoder.decode(&run, &[]).unwrap();
    let columns = decoder.complete(&run, &[0, 2], &[path]).unwrap();
    assert_eq!(words(&columns[0]), ["/a", "/c"]);
}
