//! The program inside a virtual machine. `kernel-guest` puts every probe under a load of known counts, `kernel-guest swaps` replaces a
//! sampler again and again while events flow to a collector: a line of JSON for each on the console. Nothing here judges the results.

mod counts;
mod swaps;
mod talk;

use std::any::Any;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Emulation is some thirty times slower than the host machine.
const SOON: Duration = Duration::from_secs(180);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => ["file", "exec", "tcp", "l7"].into_iter().for_each(|probe| row(probe, || counts::measure(probe))),
        ["swaps"] => row("swaps", swaps::measure),
        ["talk", cgroup] => talk::talk(cgroup),
        other => panic!("{other:?} is nothing that a guest does"),
    }
}

/// Prints a measurement, or why it failed.
fn row(name: &str, measure: impl FnOnce() -> Value + std::panic::UnwindSafe) {
    let begun = Instant::now();
    let mut row = catch_unwind(measure).unwrap_or_else(|panic| json!({ "broken": reason(panic.as_ref()) }));
    row["name"] = name.into();
    row["ms"] = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).into();
    // The kernel may write to the console as well: the row has a line of its own, and a recognisable end.
    println!("\nROW {row} END");
    // Powering off waits for nothing, and the line may still be under way.
    let _ = rustix::termios::tcdrain(std::io::stdout());
}

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}
