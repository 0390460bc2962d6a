//! Processes: every exec and every exit, with arguments, code, signal and parent.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use host_kernel::{LoadOptions, cgroup};
use host_model::Filter;

use crate::reading::{Record, start};

const CHILDREN: usize = 200;

/// A cgroup of its own; removed on drop.
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    pub(crate) fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4)).unwrap();
        let path = PathBuf::from(format!("{mount}/host-kernel-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    pub(crate) fn id(&self) -> u64 {
        cgroup::id(&self.path).unwrap()
    }

    pub(crate) fn options(&self) -> LoadOptions {
        let filter = Filter { cgroup: Some(self.id()), ..Filter::default() };
        LoadOptions { filter, ..LoadOptions::default() }
    }

    /// Runs a shell script in it, which must succeed; returns the shell's pid.
    pub(crate) fn run(&self, script: &str) -> u32 {
        self.run_in("", script)
    }

    pub(crate) fn run_in(&self, child: &str, script: &str) -> u32 {
        let procs = self.path.join(child).join("cgroup.procs");
        let script = format!("echo $$ > {}; {script}", procs.display());
        let mut shell = Command::new("/bin/sh").arg("-c").arg(script).stderr(Stdio::null()).spawn().unwrap();
        let pid = shell.id();
        assert!(shell.wait().unwrap().success());
        pid
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.path.join("child"));
        let _ = fs::remove_dir(&self.path);
    }
}

fn kind(records: &[Record], kind: i64) -> Vec<&Record> {
    records.iter().filter(|record| record.number("kind") == kind).collect()
}

#[test]
fn every_exec_and_every_exit_makes_one_record_needs_root() {
    needs_root!();
    every_exec_and_every_exit("exec", false);
}

#[test]
fn without_the_kernels_own_btf_they_make_the_same_records_needs_root() {
    needs_root!();
    every_exec_and_every_exit("exec-plain", true);
}

fn every_exec_and_every_exit(name: &str, plain: bool) {
    let cgroup = Cgroup::new(name);
    // The kernel's own BTF, as a file.
    let btf = plain.then(|| "/sys/kernel/btf/vmlinux".into());
    let mut probe = start("exec", &LoadOptions { plain, btf, ..cgroup.options() });
    let kind_of_hook = if plain { "raw_tp/" } else { "tp_btf/" };
    assert!(probe.loaded.hooks().iter().all(|hook| hook.starts_with(kind_of_hook)), "{:?}", probe.loaded.hooks());
    let shell = cgroup.run(&format!("i=0; while [ $i -lt {CHILDREN} ]; do /bin/sleep 0 && i=$((i+1)); done"));
    let records = probe.drain();
    let counters = probe.counters(records.len());
    let (execs, exits) = (kind(&records, 1), kind(&records, 2));
    assert_eq!((execs.len(), exits.len()), (CHILDREN, CHILDREN + 1), "the children, and the shell's own exit");
    assert_eq!((counters.produced, counters.lost), (2 * CHILDREN as u64 + 1, 0));
    for exec in execs {
        let filename = exec.number("filename_len") as usize;
        assert_eq!(&exec.bytes("data")[..filename], b"/bin/sleep\0");
        assert_eq!(&exec.bytes("data")[filename..], b"/bin/sleep\x000\0");
        assert_eq!(exec.number("args_len"), 13);
        assert_eq!((exec.number("parent_pid"), exec.text("comm").as_str()), (i64::from(shell), "sleep"));
    }
    assert!(exits.iter().all(|exit| exit.number("exit_code") == 0 && exit.number("exit_signal") == 0));
    assert!(exits.iter().all(|exit| exit.number("lifetime_ns") > 0));
    assert_eq!(exits.last().unwrap().number("pid"), i64::from(shell));
}

#[test]
fn codes_and_signals_are_told_apart_needs_root() {
    needs_root!();
    let cgroup = Cgroup::new("codes");
    let mut probe = start("exec", &cgroup.options());
    cgroup.run("/bin/sh -c 'exit 7'; /bin/sh -c 'kill -9 $$'; exit 0");
    let records = probe.drain();
    let ends: Vec<_> = kind(&records, 2).iter().map(|exit| (exit.number("exit_code"), exit.number("exit_signal"))).collect();
    assert_eq!(ends, [(7, 0), (0, 9), (0, 0)]);
}

#[test]
fn a_process_with_threads_ends_once_needs_root() {
    needs_root!();
    let cgroup = Cgroup::new("threads");
    let mut probe = start("exec", &cgroup.options());
    let script =
        "import threading,time\nfor _ in range(8): threading.Thread(target=time.sleep,args=(60,),daemon=True).start()\n";
    for _ in 0..20 {
        cgroup.run(&format!("exec python3 -c '{script}'"));
    }
    let records = probe.drain();
    let mut ended: Vec<_> = kind(&records, 2).iter().map(|exit| exit.number("pid")).collect();
    ended.sort_unstable();
    let all = ended.len();
    ended.dedup();
    assert_eq!((all >= 20, ended.len()), (true, all), "no process ends twice");
}

#[test]
fn descendants_of_a_cgroup_pass_its_filter_and_others_do_not_needs_root() {
    needs_root!();
    let cgroup = Cgroup::new("tree");
    fs::create_dir(cgroup.path.join("child")).unwrap();
    let mut probe = start("exec", &cgroup.options());
    let inside = cgroup.run_in("child", "exit 0");
    assert!(Command::new("/bin/sleep").arg("0").status().unwrap().success());
    let records = probe.drain();
    assert_eq!(records.iter().map(|record| record.number("pid")).collect::<Vec<_>>(), [i64::from(inside)]);
    let id = cgroup::id(&cgroup.path.join("child")).unwrap();
    assert_eq!(records[0].number("cgroup_id") as u64, id);
}

#[test]
fn arguments_that_are_too_long_are_cut_and_their_length_told_needs_root() {
    needs_root!();
    let cgroup = Cgroup::new("long");
    let mut probe = start("exec", &cgroup.options());
    cgroup.run(&format!("/bin/sleep 0 {}; exit 0", "0".repeat(3000)));
    let records = probe.drain();
    let exec = kind(&records, 1)[0];
    assert_eq!(exec.number("args_len"), 11 + 2 + 3001);
    assert_eq!(exec.bytes("data").len(), 11 + 1024);
}
