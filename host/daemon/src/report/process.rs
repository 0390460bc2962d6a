//! Figures of the daemon's own process.

use host_api::ProcessStatus;

/// Returns memory and CPU time, from /proc; 0 if it does not give them.
pub(crate) fn status() -> ProcessStatus {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpu_ms = cpu_ms(&read("/proc/self/stat"), rustix::param::clock_ticks_per_second());
    ProcessStatus { rss_bytes: rss_bytes(&read("/proc/self/status")), cpu_seconds: cpu_ms / 1000, cpu_ms }
}

fn rss_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: u64 = line.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
    kib * 1024
}

/// Returns user and system time, fields 14 and 15; the command name before them may hold anything.
fn cpu_ms(stat: &str, ticks_per_second: u64) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * 1000 / ticks_per_second.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_read_where_proc_has_them() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 90 0 0 0 150 50 9 9 20 0 1 0 5 0 0";
        assert_eq!(cpu_ms(stat, 100), 2000);
        assert_eq!(rss_bytes("VmPeak:\t  9 kB\nVmRSS:\t  512 kB\n"), 512 * 1024);
        assert!(status().rss_bytes > 0);
    }
}
