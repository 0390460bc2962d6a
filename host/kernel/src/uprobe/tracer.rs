//! The traced files, their links, and the processes that use them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use host_model::printable;

use super::link;
use super::news::Mapped;
use super::process::{self, FileId, FileNumber, Found};
use super::target::{self, Library, Role, Target};
use crate::arrivals;

/// Maximum time of one scan; processes that are left wait for the next. A container can be full of new files.
const SCAN: Duration = Duration::from_millis(250);
/// Maximum number of scans between two looks at a process. Before, it is looked at when it has been known for 1, 2, 4, ... scans.
const RESCAN: u64 = 32;
/// Maximum number of files with links: more distinct libraries than a node has containers.
const LINKED_MAX: usize = 1024;
/// Number of scans for which a file without a process is remembered, so that a command that runs every few minutes is traced from its first
/// instruction. Links keep their file open, so only links to files on the machine's own disk, which is never unmounted, stay.
const KEPT: u64 = 600;
/// Maximum number of files with links but without a process; and of files in all, of which only numbers are stored.
const KEPT_LINKED_MAX: usize = 64;
const FILES_MAX: usize = 16384;

/// The programs that run at the breakpoints.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) enter: OwnedFd,
    pub(crate) leave: OwnedFd,
    pub(crate) go: OwnedFd,
}

/// The changes of a scan.
#[derive(Debug, Default)]
pub(crate) struct ScanReport {
    /// Number of processes that were looked at closely.
    pub(crate) looked_at: usize,
    /// Hooks that were attached.
    pub(crate) attached: Vec<String>,
    /// Hooks that were detached, because no process has the file any more.
    pub(crate) dropped: Vec<String>,
    /// Files that have functions to trace and cannot be traced: path and reason.
    pub(crate) failed: Vec<(String, String)>,
    /// Whether time ran out before all processes were looked at.
    pub(crate) unfinished: bool,
}

/// Traces every file of a process that has functions to trace. Dropping it detaches, which takes some milliseconds.
#[derive(Debug)]
pub(crate) struct Tracer {
    programs: Programs,
    /// Every file that a process has; most of them have nothing to trace.
    files: HashMap<FileId, Traced>,
    processes: HashMap<u32, Process>,
    roots: HashMap<FileNumber, Root>,
    scan: u64,
    lasting_device: Option<u64>,
}

/// State of a file. Without links there is nothing to trace in it, or it failed.
#[derive(Debug, Default)]
struct Traced {
    links: Vec<OwnedFd>,
    hook: String,
    /// The file, if its links may outlive the processes that have it.
    file: Option<File>,
    /// The last scan in which a process had it.
    used: u64,
}

#[derive(Debug, Default)]
struct Process {
    executable: FileNumber,
    root: Option<FileNumber>,
    files: Vec<FileId>,
    since: u64,
    next: u64,
    alive: u64,
}

/// A directory that processes see as `/`.
#[derive(Debug, Default)]
struct Root {
    files: Vec<FileId>,
    next: u64,
}

// === impl Tracer ===

impl Tracer {
    pub(crate) fn new(programs: Programs) -> Self {
        let lasting_device = process::lasting_device();
        Self { programs, files: HashMap::new(), processes: HashMap::new(), roots: HashMap::new(), scan: 0, lasting_device }
    }

    /// Hooks of all links, such as `uprobe.multi//usr/lib/x86_64-linux-gnu/libssl.so.3:SSL_read,SSL_write`.
    pub(crate) fn hooks(&self) -> Vec<String> {
        let mut hooks: Vec<_> =
            self.files.values().filter(|file| !file.links.is_empty()).map(|file| file.hook.clone()).collect();
        hooks.sort_unstable();
        hooks.dedup();
        hooks
    }

    /// Looks at new processes: traces their files, and drops files that no process has any more.
    pub(crate) fn scan(&mut self) -> io::Result<ScanReport> {
        let mut report = ScanReport::default();
        let began = Instant::now();
        self.scan += 1;
        for pid in process::all()? {
            let Some(process) = self.know(pid) else { continue };
            if process.next > self.scan {
                continue;
            }
            if began.elapsed() > SCAN {
                report.unfinished = true;
                continue;
            }
            self.look_at(pid, &mut report);
        }
        self.forget(&mut report);
        Ok(report)
    }

    /// Looks at new mappings: libraries at once, programs that are new, and the libraries under their roots.
    pub(crate) fn hear(&mut self, news: &[Mapped]) -> ScanReport {
        let mut report = ScanReport::default();
        let mut seen = HashSet::new();
        for mapped in news {
            if seen.insert(mapped.pid) {
                let known = self.processes.get(&mapped.pid).map(|process| process.executable);
                let Some(process) = self.know(mapped.pid) else { continue };
                if known != Some(process.executable) {
                    report.looked_at += 1;
                    arrivals::tell(mapped.pid);
                    let file = process::executable(mapped.pid).map(|found| self.meet(found, &mut report));
                    let root = self.meet_root(mapped.pid, &mut report);
                    if let Some(process) = self.processes.get_mut(&mapped.pid) {
                        (process.files, process.root) = (file.into_iter().collect(), root);
                    }
                }
            }
            if let Some(found) = process::library(mapped) {
                let file = self.meet(found, &mut report);
                if let Some(process) = self.processes.get_mut(&mapped.pid) {
                    process.files.push(file);
                }
            }
        }
        report
    }

    /// Updates a process, which the next scan looks at if it is new; None if it has ended.
    fn know(&mut self, pid: u32) -> Option<&Process> {
        let executable = process::executable_of(pid)?;
        let process = self.processes.entry(pid).or_default();
        if process.executable != executable {
            *process = Process { executable, since: self.scan, next: self.scan, ..Process::default() };
        }
        process.alive = self.scan;
        Some(process)
    }

    fn look_at(&mut self, pid: u32, report: &mut ScanReport) {
        report.looked_at += 1;
        let found = process::executable(pid).into_iter().chain(process::libraries(pid));
        let files = found.map(|found| self.meet(found, report)).collect();
        let root = self.meet_root(pid, report);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.files = files;
            process.root = root;
            // At ages 1, 2, 4, ...: a process loads most libraries soon after its start.
            process.next = self.scan + (self.scan - process.since).clamp(1, RESCAN);
        }
    }

    /// Traces the libraries under the root of a process, if it is not known, or due again.
    fn meet_root(&mut self, pid: u32, report: &mut ScanReport) -> Option<FileNumber> {
        let root = process::root_of(pid)?;
        if self.roots.get(&root).is_none_or(|root| root.next <= self.scan) {
            let files = process::standing(pid).into_iter().map(|found| self.meet(found, report)).collect();
            self.roots.insert(root, Root { files, next: self.scan + RESCAN });
        }
        Some(root)
    }

    /// Traces a file, if it is new and has functions to trace.
    fn meet(&mut self, found: Found, report: &mut ScanReport) -> FileId {
        let id = found.id;
        if let Some(known) = self.files.get_mut(&id) {
            known.used = self.scan;
            return id;
        }
        let path = printable(&found.path.to_string_lossy(), 256);
        let traced = match target::find(&found.file) {
            Ok(None) => Ok(Traced::default()),
            Ok(Some(target)) => self.attach(&found, &path, &target),
            Err(reason) => Err(reason.to_string()),
        };
        let mut traced = traced.unwrap_or_else(|reason| {
            report.failed.push((path, reason));
            Traced::default()
        });
        traced.used = self.scan;
        if !traced.links.is_empty() {
            report.attached.push(traced.hook.clone());
            traced.file = Some(found.file).filter(|_| id.is_on(self.lasting_device));
        }
        self.files.insert(id, traced);
        id
    }

    fn attach(&self, found: &Found, path: &str, target: &Target) -> Result<Traced, String> {
        if self.files.values().filter(|file| !file.links.is_empty()).count() >= LINKED_MAX {
            return Err(format!("{LINKED_MAX} files are traced already"));
        }
        let link = |program: &OwnedFd, returns: bool| {
            let sites: Vec<_> = target.sites.iter().copied().filter(|site| !returns || site.role != Role::Forget).collect();
            link::attach(program.as_fd(), &found.file, &sites, returns).map_err(|error| explain(&error))
        };
        let links = match target.library {
            // Returns first: then a call that is seen to begin is also seen to end.
            Library::OpenSsl => {
                [link(&self.programs.leave, true)?, link(&self.programs.enter, false)?].into_iter().flatten().collect()
            }
            Library::Go => link(&self.programs.go, false)?,
        };
        let hook = format!("uprobe.multi/{path}:{}", target.functions.join(","));
        Ok(Traced { links, hook, ..Traced::default() })
    }

    /// Drops processes that have ended, and files that only they had: at once if their links would keep a file open that is not on the
    /// machine's own disk, else later.
    fn forget(&mut self, report: &mut ScanReport) {
        let scan = self.scan;
        self.processes.retain(|_, process| process.alive == scan);
        let roots: HashSet<_> = self.processes.values().filter_map(|process| process.root).collect();
        self.roots.retain(|root, _| roots.contains(root));
        let of_processes = self.processes.values().flat_map(|process| &process.files);
        for used in of_processes.chain(self.roots.values().flat_map(|root| &root.files)) {
            if let Some(file) = self.files.get_mut(used) {
                file.used = scan;
            }
        }
        let too_many = self.files.len() > FILES_MAX;
        let mut unused: Vec<u64> = self.files.values().filter(|file| file.waits(scan)).map(|file| file.used).collect();
        unused.sort_unstable();
        // If there are too many, those that were last used before scan `least` are dropped.
        let least = unused.len().checked_sub(KEPT_LINKED_MAX).and_then(|index| unused.get(index)).copied().unwrap_or(0);
        self.files.retain(|_, file| {
            let stays = file.used == scan
                || (scan - file.used < KEPT
                    && if file.links.is_empty() { !too_many } else { file.used >= least && file.lasts() });
            if !stays && !file.links.is_empty() {
                report.dropped.push(std::mem::take(&mut file.hook));
            }
            stays
        });
    }
}

// === impl Traced ===

impl Traced {
    /// Whether it has links although no process has the file.
    fn waits(&self, scan: u64) -> bool {
        self.used != scan && !self.links.is_empty()
    }

    /// Whether its links may stay for the next process: not if the file has been removed.
    fn lasts(&self) -> bool {
        let about = self.file.as_ref().and_then(|file| file.metadata().ok());
        about.is_some_and(|about| about.nlink() > 0)
    }
}

fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::ENOTSUP) => {
            "the kernel refuses the places: before Linux 6.6 it takes one with CONFIG_UPROBE_EVENTS".into()
        }
        Some(libc::EPERM | libc::EACCES) => {
            "attaching it is not permitted: it takes CAP_BPF and CAP_PERFMON, before Linux 6.6 CAP_SYS_ADMIN".into()
        }
        _ => format!("attaching it failed: {error}"),
    }
}
