//! Opens and closes one file at a rate, pinned to one CPU, and reports the cost.
//!
//! `open-load PATH RATE SECONDS [CPU]`: RATE per second, in batches of 1 ms; 0 is as fast as possible. It writes `ready`, waits for a line
//! on its standard input (so that a tracer can find its pid), works until the time is over or another line comes, and writes one line of
//! JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rate, seconds, cpu @ ..] = arguments.as_slice() else {
        eprintln!("usage: open-load PATH RATE SECONDS [CPU]");
        std::process::exit(2);
    };
    let rate: u64 = rate.parse().expect("RATE is a number");
    let seconds: f64 = seconds.parse().expect("SECONDS is a number");
    let cpu: usize = cpu.first().map_or(0, |cpu| cpu.parse().expect("CPU is a number"));
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).expect("the CPU exists");

    println!("ready");
    wait_for_line();
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    std::thread::spawn(move || {
        wait_for_line();
        stop.store(true, Relaxed);
    });

    let path = std::ffi::CString::new(path.as_str()).expect("PATH has no NUL");
    let open = || drop(openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).expect("PATH can be opened"));
    let (start, cpu_start) = (Instant::now(), cpu_ns());
    let end = Duration::from_secs_f64(seconds);
    let mut operations = 0_u64;
    while start.elapsed() < end && !stopped.load(Relaxed) {
        if rate == 0 {
            (0..1000).for_each(|_| open());
            operations += 1000;
            continue;
        }
        // The number of opens due at the end of this millisecond, so that a late batch is made up for and the rate holds.
        let tick = start.elapsed().as_millis() as u64 + 1;
        let due = (tick * rate / 1000).saturating_sub(operations);
        (0..due).for_each(|_| open());
        operations += due;
        std::thread::sleep(Duration::from_millis(tick).saturating_sub(start.elapsed()));
    }
    let (wall_ns, cpu_ns) = (start.elapsed().as_nanos(), cpu_ns() - cpu_start);
    println!(r#"{{"operations":{operations},"cpu_ns":{cpu_ns},"wall_ns":{wall_ns}}}"#);
}

fn wait_for_line() {
    std::io::stdin().read_line(&mut String::new()).expect("standard input is open");
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
