//! The ring itself: the real one as root, filled by real calls; else a tape of the same records.

use host_kernel::{LoadOptions, catalog, load};
use host_model::{Filter, Source};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::time::ClockId;

use crate::tape::Tape;
use crate::{Pair, ROUNDS, Workshop, cpu_ns, per_row};

/// Measures finding and releasing a run. The same on both sides: the copy into the sandbox counts in `decode`.
pub(crate) fn drain(workshop: &Workshop, size: usize) -> Pair {
    let both = |ns| Pair { native: ns, wasm: ns };
    if rustix::process::geteuid().is_root() {
        return both(of_kernel(size));
    }
    let mut source = Tape::new(workshop.tape(size), usize::MAX);
    let mut lap = move || {
        std::hint::black_box(source.run(size, usize::MAX).records);
        source.release();
    };
    both((0..ROUNDS).map(|_| per_row(size, &mut lap)).fold(f64::MAX, f64::min))
}

/// Returns nanoseconds per record of a run of `size` records that this thread has just caused.
fn of_kernel(size: usize) -> f64 {
    let filter = Filter { pid: Some(std::process::id()), ..Filter::default() };
    let options = LoadOptions { filter, exclude_pid: None, ..LoadOptions::default() };
    let mut probe = load("file", catalog::find("file").unwrap().object, &options).unwrap();
    let mut source = probe.source().unwrap();
    probe.attach().unwrap();
    let path = c"/srv/www/site-01/assets/index.html";
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let mut spent = 0;
        let laps = 20_000_usize.div_ceil(size);
        for _ in 0..laps {
            (0..size).for_each(|_| drop(openat(CWD, path, OFlags::RDONLY, Mode::empty())));
            let start = cpu_ns(ClockId::ThreadCPUTime);
            let mut left = size;
            // One run, or two where the ring ends.
            while left > 0 {
                left -= std::hint::black_box(source.run(left, usize::MAX)).records as usize;
                source.release();
            }
            spent += cpu_ns(ClockId::ThreadCPUTime) - start;
        }
        best = best.min(spent as f64 / (laps * size) as f64);
    }
    best
}
