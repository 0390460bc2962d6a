//! Records as the BPF program lays them out, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_exec::{Decoder, ExecRecord, record};
use plugin_sdk::testing::{Draft, decode_all, header_layout, run};
use plugin_sdk::{Config, Decoder as _, Record};

const HEADER: &str = include_str!("../../../bpf/exec/record.h");

fn decode(record: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::bind("exec", &ExecRecord::layout().unwrap(), Config::new("{}")).unwrap();
    decode_all(&mut decoder, &run([record])).unwrap().remove(0)
}

fn process(kind: u32) -> Draft {
    Draft::new(header_layout(HEADER, "exec_record").unwrap())
        .put("time_ns", 7_000)
        .put("cgroup_id", 4242)
        .put("pid", 4711)
        .put("parent_pid", 1)
        .put("uid", 1000)
        .put("kind", kind.into())
        .bytes("comm", b"ls")
}

fn exec(filename: &[u8], args: &[u8]) -> Draft {
    process(record::EXEC)
        .put("filename_len", filename.len() as i128)
        .put("args_len", args.len() as i128)
        .bytes("data", &[filename, args].concat())
}

fn has(row: &[String], values: &[&str]) {
    for value in values {
        assert!(row.iter().any(|known| known == value), "{value} is not in {row:?}");
    }
}

#[test]
fn the_record_is_the_one_in_the_header() {
    assert_eq!(ExecRecord::layout(), header_layout(HEADER, "exec_record"));
    assert!(HEADER.contains("EXEC_KIND_EXEC = 1") && HEADER.contains("EXEC_KIND_EXIT = 2"));
}

#[test]
fn an_exec_becomes_this_row() {
    assert_eq!(
        decode(&exec(b"/usr/bin/ls\0", b"ls\0-l\0/tmp\0").finish()),
        [
            "time=7000",
            "event=process.exec",
            "body=/usr/bin/ls",
            "error.type=",
            "process.event=exec",
            "kernel.threshold=0",
            "process.pid=4711",
            "process.parent_pid=1",
            "thread.name=ls",
            "process.real_user.id=1000",
            "linux.cgroup.id=4242",
            "process.executable.path=/usr/bin/ls",
            "process.executable.name=ls",
            "process.command_line=ls -l /tmp",
            "process.args_truncated=0",
            "process.exit.code=0",
            "process.exit.signal=",
            "process.lifetime=0",
        ]
    );
}

#[test]
fn arguments_that_were_cut_are_marked() {
    has(
        &decode(&exec(b"/bin/sh\0", b"sh\0-c\0echo").put("args_len", 4000).finish()),
        &["process.command_line=sh -c echo", "process.args_truncated=1"],
    );
}

#[test]
fn an_exit_says_how_it_ended() {
    let exit = |code: i128, signal: i128| {
        let exit = process(record::EXIT).put("exit_code", code).put("exit_signal", signal).put("lifetime_ns", 900);
        decode(&exit.finish())
    };
    has(&exit(0, 0), &["event=process.exit", "body=exited with 0", "error.type=", "process.lifetime=900"]);
    has(&exit(3, 0), &["body=exited with 3", "error.type=3", "process.exit.code=3", "process.exit.signal="]);
    has(&exit(0, 9), &["body=killed by SIGKILL", "error.type=SIGKILL", "process.exit.signal=SIGKILL"]);
    has(&exit(0, 40), &["error.type=SIGRT"]);
    has(&exit(0, 99), &["error.type=_OTHER"]);
}

#[test]
fn a_record_that_contradicts_itself_is_undecodable() {
    let whole = exec(b"/usr/bin/ls\0", b"ls\0").finish();
    for length in 0..whole.len() {
        let row = decode(&whole[..length]);
        assert_eq!(row == ["#0"], length < 80 + 12, "{length} bytes");
    }
    assert_eq!(decode(&exec(b"", b"").put("filename_len", u32::MAX.into()).finish()), ["#0"]);
    assert_eq!(decode(&process(3).finish()), ["#0"]);
}
