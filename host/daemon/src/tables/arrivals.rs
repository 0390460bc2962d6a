//! Reads processes as soon as they run a program: a short-lived client has gone when its records have become rows.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use host_kernel::arrivals;

use super::process::Processes;

/// Maximum number of processes that wait to be read.
const WAITING: usize = 1024;
/// Maximum number of processes read at once: three milliseconds.
const TURN: usize = 64;
/// Time after the start in which all are read although no plugin has asked yet: the first request may be about earlier ones.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Keeps the table up to date with new processes, on a thread of its own, as long as the table exists.
pub(super) fn keep_up(processes: &Arc<Processes>) {
    let (arrived, processes) = (arrivals::listen(WAITING), Arc::downgrade(processes));
    let work = move || welcome(&arrived, &processes);
    if let Err(error) = thread::Builder::new().name("arrivals".into()).spawn(work) {
        tracing::warn!(%error, "what is known of short-lived processes is less than it could be");
    }
}

fn welcome(arrived: &Receiver<u32>, processes: &Weak<Processes>) {
    let began = Instant::now();
    while let Ok(first) = arrived.recv() {
        let Some(processes) = processes.upgrade() else { return };
        let pids: Vec<u64> = std::iter::once(first).chain(arrived.try_iter().take(TURN - 1)).map(u64::from).collect();
        if processes.is_asked() || began.elapsed() < FIRST {
            let reads = Instant::now();
            processes.arrived(&pids);
            // Limits the load to about a fifth of a processor, even where programs start by the thousand.
            thread::sleep((reads.elapsed() * 4).min(LONGEST_PAUSE));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::process::Text;
    use super::*;

    #[test]
    fn a_process_that_has_arrived_is_known_after_its_end() {
        let processes = Arc::new(Processes::default());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (tell, told) = channel();
        let known = Arc::downgrade(&processes);
        let thread = thread::spawn(move || welcome(&told, &known));
        tell.send(child.id()).unwrap();
        drop(tell);
        thread.join().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let row = Arc::clone(&processes.rows(&[u64::from(child.id())], std::time::Duration::from_secs(60)).0[0]);
        assert_eq!(row.parent_pid, std::process::id());
        assert!(
            row.text(Text::CommandLine).starts_with("sleep") || row.text(Text::Executable).contains("host_daemon"),
            "{row:?}"
        );
    }
}
