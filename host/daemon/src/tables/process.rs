//! The table `process`: /proc behind a bounded cache.
//!
//! A row is read again after [`TTL`], because a process may execute another program. A process that has ended keeps its last row as long as
//! the cache does, because its events are often still on the way, and it is read when it begins for that reason; a pid that was reused is
//! recognised by the start time of its process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use host_kernel::{privileged, regular};
use host_model::Lock;

use super::users::Users;

/// The data of one process; empty or 0 if unknown. It is kept for long, and its texts are one piece of memory, so that those of thousands
/// of processes do not occupy as many heap pages as there are texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    /// The texts, concatenated.
    texts: Box<str>,
    /// The offset of the end of each in `texts`, in the order of [`Text`].
    ends: [usize; 5],
    pub(super) parent_pid: u32,
    /// Its start time, in clock ticks after boot.
    started: u64,
}

/// A text in the data of a process.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    Executable,
    CommandLine,
    Cgroup,
    Container,
    User,
}

#[derive(Debug, Default)]
pub(super) struct Processes {
    cache: Lock<Cache>,
    users: Arc<Users>,
    asked: AtomicBool,
}

/// Two halves: when the young one is full it becomes the old one, and entries of the old one that were not requested are dropped.
#[derive(Debug, Default)]
struct Cache {
    young: HashMap<u64, Entry>,
    old: HashMap<u64, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The time of the read; None: to be read again at the next request.
    read: Option<Instant>,
    row: Arc<Process>,
}

/// Maximum age of a row: longer than a batch waits, short enough that an exec is seen.
const TTL: Duration = Duration::from_secs(1);
/// Maximum entries of one half. 16,384 rows of 500 bytes are 8 MiB.
const HALF: usize = 8192;
/// Maximum number of processes read in one turn. 64: three milliseconds.
const TURN: usize = 64;
/// Maximum time to read a process that has just begun. Half a second: it may be short-lived.
const ARRIVAL: Duration = Duration::from_millis(500);
/// Maximum bytes read of any one file: enough for a command line that people read, or for the thirteen hierarchies of cgroup v1.
const MAX_FILE: u64 = 8192;

// === impl Processes ===

impl Processes {
    /// Returns one row per pid, and the number of pids that could not be read within this time: their rows are the last known ones, or
    /// empty.
    pub(super) fn rows(&self, pids: &[u64], within: Duration) -> (Vec<Arc<Process>>, u64) {
        self.asked.store(true, Ordering::Relaxed);
        self.rows_at(pids, Instant::now(), within)
    }

    /// Whether a plugin has ever asked for a row.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Reads processes that have just run a program. Their earlier rows are outdated; the new ones serve until a request reads them again.
    pub(super) fn arrived(&self, pids: &[u64]) {
        let read = self.read(pids.iter().copied().collect(), ARRIVAL);
        let mut cache = self.cache();
        for (pid, row) in read.into_iter().filter_map(|(pid, row)| Some((pid, row?))) {
            cache.put(pid, Entry { read: None, row });
        }
    }

    fn rows_at(&self, pids: &[u64], now: Instant, within: Duration) -> (Vec<Arc<Process>>, u64) {
        let known: Vec<Option<Entry>> = {
            let mut cache = self.cache();
            pids.iter().map(|&pid| cache.get(pid)).collect()
        };
        let is_fresh = |entry: &Entry| entry.read.is_some_and(|read| now.saturating_duration_since(read) < TTL);
        let asked = pids.iter().zip(&known).filter(|(_, known)| !known.as_ref().is_some_and(is_fresh));
        let asked: BTreeSet<u64> = asked.map(|(&pid, _)| pid).collect();
        let wanted = asked.len();
        let read = self.read(asked, within);
        let left_out = wanted.saturating_sub(read.len()) as u64;
        let row = |(&pid, known): (&u64, Option<Entry>)| match (read.get(&pid), known) {
            (Some(Some(row)), _) => Arc::clone(row),
            (_, Some(last)) => last.row,
            (_, None) => Arc::default(),
        };
        let rows: Vec<Arc<Process>> = pids.iter().zip(known).map(row).collect();
        let mut cache = self.cache();
        for (&pid, row) in pids.iter().zip(&rows).filter(|(pid, _)| read.contains_key(*pid)) {
            cache.put(pid, Entry { read: Some(now), row: Arc::clone(row) });
        }
        (rows, left_out)
    }

    /// Reads on the thread that may look into processes of other users, a few at a time: concurrent lookups take turns, so that one for all
    /// processes does not delay the others. The lock is not held here: another path must not wait for this one's /proc.
    fn read(&self, pids: BTreeSet<u64>, within: Duration) -> BTreeMap<u64, Option<Arc<Process>>> {
        let began = Instant::now();
        let mut rows = BTreeMap::new();
        let mut pids = pids.into_iter().peekable();
        while pids.peek().is_some() {
            let left = within.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            let some: Vec<u64> = pids.by_ref().take(TURN).collect();
            let users = Arc::clone(&self.users);
            let read = move || some.into_iter().map(|pid| (pid, read(&users, pid).map(Arc::new))).collect::<Vec<_>>();
            match privileged::look(left, read) {
                Ok(read) => rows.extend(read),
                Err(error) => {
                    tracing::debug!(%error, "processes are not read in time");
                    break;
                }
            }
        }
        rows
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock()
    }
}

/// Reads a process. None if there is none with this pid, or if it ended during the read.
fn read(users: &Users, pid: u64) -> Option<Process> {
    let (parent_pid, started) = parse_stat(&read_text(pid, "stat")?)?;
    let (cgroup, container) = parse_cgroup(&read_text(pid, "cgroup").unwrap_or_default());
    let executable =
        std::fs::read_link(format!("/proc/{pid}/exe")).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let command_line = read_text(pid, "cmdline").unwrap_or_default().trim_end_matches('\0').replace('\0', " ");
    let user = read_text(pid, "status").and_then(|status| users.name(parse_uid(&status)?)).unwrap_or_default();
    let row = Process::new([&executable, &command_line, &cgroup, &container, &user], parent_pid, started);
    // If the pid was reused in between, the row would mix two processes.
    let still = read_text(pid, "stat").and_then(|stat| parse_stat(&stat));
    still.filter(|(_, now)| *now == row.started).map(|_| row)
}

// === impl Process ===

impl Process {
    /// Makes a row of texts in the order of [`Text`].
    fn new(texts: [&str; 5], parent_pid: u32, started: u64) -> Self {
        let mut end = 0;
        let ends = texts.map(|text| {
            end += text.len();
            end
        });
        Self { texts: texts.concat().into_boxed_str(), ends, parent_pid, started }
    }

    pub(super) fn text(&self, text: Text) -> &str {
        let index = text as usize;
        let end = |index: usize| self.ends.get(index).copied().unwrap_or(0);
        let start = index.checked_sub(1).map_or(0, end);
        self.texts.get(start..end(index)).unwrap_or_default()
    }
}

// === impl Cache ===

impl Cache {
    fn get(&mut self, pid: u64) -> Option<Entry> {
        if let Some(entry) = self.young.get(&pid) {
            return Some(entry.clone());
        }
        let entry = self.old.remove(&pid)?;
        self.put(pid, entry.clone());
        Some(entry)
    }

    fn put(&mut self, pid: u64, entry: Entry) {
        if self.young.len() >= HALF && !self.young.contains_key(&pid) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(pid, entry);
    }
}

fn read_text(pid: u64, file: &str) -> Option<String> {
    let bytes = regular::read(Path::new(&format!("/proc/{pid}/{file}")), MAX_FILE).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the parent and the start time. The second field is the command name in parentheses and may hold anything, parentheses too.
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, started))
}

/// Returns the real uid.
fn parse_uid(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns the path of a process's cgroup, and the id of its container. They come from the unified hierarchy, or else systemd's; if a
/// container is in others of version 1, these two have nothing, or only the service that runs containers.
fn parse_cgroup(text: &str) -> (String, String) {
    let fields = |line: &'_ str| -> Option<(bool, bool, String)> {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((number == "0", controllers == "name=systemd", path.to_owned()))
    };
    let lines: Vec<(bool, bool, String)> = text.lines().filter_map(fields).collect();
    let (unified, systemd) = (lines.iter().find(|line| line.0), lines.iter().find(|line| line.1));
    let mut paths = unified.into_iter().chain(systemd).chain(&lines).map(|(_, _, path)| path);
    if let Some((path, id)) = paths.clone().find_map(|path| Some((path, container_id(path)?))) {
        return (path.clone(), id.to_owned());
    }
    let first = paths.clone().next();
    (paths.find(|path| *path != "/").or(first).cloned().unwrap_or_default(), String::new())
}

/// Returns the 64 hexadecimal digits by which docker, containerd, CRI-O and podman name a container's cgroup, alone or as `docker-….scope`,
/// `cri-containerd-….scope`, `crio-….scope`, `libpod-….scope`; but not that of its monitor (`crio-conmon-….scope`).
fn container_id(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let (runtime, id) = part.rsplit_once(['-', ':']).unwrap_or(("", part));
        (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && !runtime.ends_with("conmon")).then_some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_container_is_found_in_every_runtimes_cgroup() {
        for path in [
            format!("/system.slice/docker-{ID}.scope"),
            format!("/docker/{ID}"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("/kubepods/besteffort/pod0-1/{ID}"),
            format!("/kubepods.slice/crio-{ID}.scope/container"),
            format!("/machine.slice/libpod-{ID}.scope"),
        ] {
            assert_eq!(container_id(&path), Some(ID), "{path}");
        }
        assert_eq!(container_id("/user.slice/user-1000.slice/session-2.scope"), None);
        assert_eq!(container_id(&format!("/docker/{}", ID.replace('a', "g"))), None);
    }

    #[test]
    fn the_texts_of_a_row_are_told_apart() {
        let all = [Text::Executable, Text::CommandLine, Text::Cgroup, Text::Container, Text::User];
        let texts = ["/bin/é", "", "/a.slice", ID, "root"];
        let row = Process::new(texts, 1, 2);
        assert_eq!(all.map(|text| row.text(text)), texts);
        assert_eq!(all.map(|text| Process::default().text(text).to_owned()), <[String; 5]>::default());
    }

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) S 9 (b) S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(parse_stat(stat), Some((7, 12345)));
    }

    #[test]
    fn a_container_is_told_whichever_hierarchy_it_is_in() {
        let docker = (format!("/docker/{ID}"), ID.to_owned());
        let of = |text: String| parse_cgroup(&text);
        assert_eq!(of(format!("5:cpu:/docker/{ID}\n1:name=systemd:/x\n0::/\n")), docker);
        assert_eq!(of(format!("5:cpu,cpuacct:/docker/{ID}\n1:name=systemd:/docker/{ID}\n")), docker, "version 1 alone");
        assert_eq!(of(format!("9:memory:/docker/{ID}\n0::/system.slice/docker.service\n")), docker, "both versions");
        assert_eq!(of(format!("4:memory:/other\n0::/docker/{ID}\n")), docker);
        let pod = format!("/kubepods/besteffort/pod1/{ID}");
        assert_eq!(of(format!("9:cpu:/x\n8:pids:{pod}\n7:memory:{pod}\n0::/init.scope\n")), (pod, ID.to_owned()));
    }

    #[test]
    fn a_process_in_no_container_has_the_cgroup_that_says_most() {
        let cgroup = |text: &str| parse_cgroup(text);
        let service = ("/system.slice/a.service".to_owned(), String::new());
        assert_eq!(cgroup("0::/system.slice/a.service\n"), service);
        assert_eq!(cgroup("3:cpu:/\n1:name=systemd:/system.slice/a.service\n0::/\n"), service);
        assert_eq!(cgroup("3:cpu:/\n0::/\n").0, "/");
        assert_eq!(cgroup("3:cpu:/batch\n0::/\n").0, "/batch");
        assert_eq!(cgroup(""), Default::default());
        assert_eq!(container_id(&format!("/machine.slice/libpod-conmon-{ID}.scope")), None, "it is outside");
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let mut cache = Cache::default();
        let entry = Entry { read: None, row: Arc::default() };
        for pid in 0..10 * HALF as u64 {
            cache.put(pid, entry.clone());
            assert!(cache.get(0).is_some(), "{pid}");
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * HALF);
        assert!(cache.get(1).is_none());
    }

    #[test]
    fn an_ended_process_keeps_its_row_and_a_new_one_of_that_pid_does_not_get_it() {
        let processes = Processes::default();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = u64::from(child.id());
        let start = Instant::now();
        let row = Arc::clone(&processes.rows_at(&[pid, pid], start, LONG).0[1]);
        assert!(row.parent_pid == std::process::id(), "{row:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(processes.rows_at(&[pid], start + 2 * TTL, LONG), (vec![Arc::clone(&row)], 0));

        // The same pid, but its process started at another time.
        let me = u64::from(std::process::id());
        processes.cache().put(me, Entry { read: Some(start), row });
        assert_ne!(processes.rows_at(&[me], start + 2 * TTL, LONG).0[0].parent_pid, std::process::id());
    }

    #[test]
    fn a_lookup_of_more_than_can_be_read_in_time_ends_in_time_and_says_what_it_left_out() {
        let processes = Processes::default();
        let pids: Vec<u64> = (0..1 << 18).map(|pid| pid + (1 << 32)).collect();
        let began = Instant::now();
        let (rows, left_out) = processes.rows(&pids, Duration::from_millis(100));
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(rows.len(), pids.len());
        assert!(left_out > 0 && left_out < pids.len() as u64, "{left_out}");
        // Other processes are read meanwhile and afterwards.
        let me = u64::from(std::process::id());
        assert_eq!(processes.rows(&[me], LONG).0[0].parent_pid, std::os::unix::process::parent_id());
    }

    #[test]
    fn what_was_known_before_is_told_where_there_is_no_time_to_look_again() {
        let processes = Processes::default();
        let (me, start) = (u64::from(std::process::id()), Instant::now());
        let known = processes.rows_at(&[me], start, LONG);
        assert_eq!(known.1, 0);
        assert_eq!(processes.rows_at(&[me], start + 2 * TTL, Duration::ZERO), (known.0, 1));
    }
}
