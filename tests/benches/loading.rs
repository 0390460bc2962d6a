//! The time that a start waits for: the bundled plugins compiled, and taken from the cache of compiled code.

#![allow(missing_docs)]

use std::time::{Duration, Instant};

use host_plugin::{Cache, CacheUse, Component, Engine};

/// Number of loads of each; the fastest counts, because other work of the machine only adds time.
const TIMES: usize = 9;

fn main() {
    let engine = Engine::new().expect("an engine starts");
    let folder = tempfile::tempdir().expect("a folder for the cache");
    let open = |name: &str| Cache::open(&folder.path().join(name), 256 << 20).expect("the cache opens");
    let mut sums = [Duration::ZERO; 2];
    println!("{:<20}{:>12}{:>14}{:>14}", "plugin", "KiB", "compiled ms", "cached ms");
    for plugin in plugins::COMPONENTS {
        let load = |cache: &Cache, expected: CacheUse| {
            let start = Instant::now();
            let (_, done) = Component::compile_cached(&engine, plugin.bytes, plugin.name, cache).expect("it loads");
            assert_eq!(done, expected);
            start.elapsed()
        };
        let cold = (0..TIMES).map(|time| load(&open(&format!("{}-{time}", plugin.name)), CacheUse::Miss)).min();
        let warm = (0..TIMES).map(|_| load(&open(&format!("{}-0", plugin.name)), CacheUse::Hit)).min();
        let times = [cold.unwrap_or_default(), warm.unwrap_or_default()];
        row(plugin.name, plugin.bytes.len(), times);
        sums = [sums[0] + times[0], sums[1] + times[1]];
    }
    row("all", plugins::COMPONENTS.iter().map(|plugin| plugin.bytes.len()).sum(), sums);
}

fn row(name: &str, bytes: usize, [cold, warm]: [Duration; 2]) {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{name:<20}{:>12.1}{:>14.2}{:>14.2}", bytes as f64 / 1024.0, millis(cold), millis(warm));
}
