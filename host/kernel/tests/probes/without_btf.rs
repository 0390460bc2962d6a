//! A kernel without its own BTF: it is hidden from the loading thread, and given as a file.

#![allow(unsafe_code, reason = "a mount namespace for one thread")]

use std::path::PathBuf;
use std::ptr::null;
use std::thread;

use host_kernel::{LoadOptions, catalog};

use crate::exec::Cgroup;
use crate::objects::compile;
use crate::reading::start;

/// Runs `work` where /sys/kernel/btf is empty; `work` gets a copy of its content.
fn without_btf<T: Send + 'static>(name: &str, work: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
    let copy = std::env::temp_dir().join(format!("host-kernel-{name}-{}.btf", std::process::id()));
    std::fs::copy("/sys/kernel/btf/vmlinux", &copy).unwrap();
    let given = copy.clone();
    let hidden = thread::spawn(move || {
        // SAFETY: C strings that live for ever; both calls are about this thread's own view of the file system.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
            let private = libc::MS_REC | libc::MS_PRIVATE;
            assert_eq!(libc::mount(null(), c"/".as_ptr(), null(), private, null()), 0);
            assert_eq!(libc::mount(c"none".as_ptr(), c"/sys/kernel/btf".as_ptr(), c"tmpfs".as_ptr(), 0, null()), 0);
        }
        work(given)
    });
    let result = hidden.join().unwrap();
    std::fs::remove_file(copy).unwrap();
    result
}

#[test]
fn it_is_said_what_helps_needs_root() {
    needs_root!();
    let error = without_btf("none", |_| {
        let exec = catalog::find("exec").unwrap();
        host_kernel::load("exec", exec.object, &LoadOptions::default()).unwrap_err().to_string()
    });
    assert!(error.contains("this kernel has no BTF") && error.contains("--btf FILE"), "{error}");
}

#[test]
fn every_probe_runs_by_a_file_and_says_what_it_does_without_needs_root() {
    needs_root!();
    let lacking = without_btf("all", |btf| {
        let options = LoadOptions { btf: Some(btf), ..LoadOptions::default() };
        let tried = catalog::catalog().into_iter().map(|probe| {
            let mut loaded = host_kernel::load(probe.name, probe.object, &options).unwrap();
            loaded.try_attach().unwrap();
            assert!(loaded.hooks().iter().all(|hook| hook.starts_with("raw_tp/") || hook.starts_with("tp/")));
            loaded.passed_over()[0].clone()
        });
        tried.collect::<Vec<_>>()
    });
    let own = "it takes the kernel's own BTF";
    assert_eq!(lacking[0], format!("tp_btf/sched_process_exec: {own}"));
    assert!(lacking[1].starts_with("tp/syscalls/sys_enter_openat: its programs take storage"));
    assert_eq!(lacking[2..], [format!("tp_btf/sock_send_length: {own}"), format!("tp_btf/inet_sock_set_state: {own}")]);
}

#[test]
fn by_a_file_programs_are_counted_exactly_needs_root() {
    needs_root!();
    let (ended, lost) = without_btf("counts", |btf| {
        let cgroup = Cgroup::new("no-btf");
        let mut probe = start("exec", &LoadOptions { btf: Some(btf), ..cgroup.options() });
        cgroup.run("for i in 1 2 3 4 5; do /bin/true; done");
        let records = probe.drain();
        (records.len(), probe.counters(records.len()).lost)
    });
    assert_eq!((ended, lost), (5 + 5 + 1, 0));
}

#[test]
fn an_object_that_takes_the_kernels_own_is_refused_by_its_hook_needs_root() {
    needs_root!();
    let source = "#include <ring.h>\nstruct mine_record { __u32 pid; }; RING_RECORD(mine_record);\n\
                  SEC(\"tp_btf/sched_process_exec\") int p(void *ctx) { return 0; }\n";
    let object = compile("own-btf", source);
    let error = without_btf("own", move |btf| {
        host_kernel::load("mine", &object, &LoadOptions { btf: Some(btf), ..LoadOptions::default() }).unwrap_err().to_string()
    });
    assert!(error.contains("tp_btf/sched_process_exec takes the kernel's own BTF"), "{error}");
}
