//! Uprobes in running programs, where TLS libraries have the plaintext.
//!
//! ```text
//! processes -> files (libssl, programs) -> places in their code -> one link per file and program -> records of the probe
//! ```
//!
//! A uprobe belongs to a file, not to a process: every process that runs the file is traced from its first instruction on. So files have to
//! be found. The kernel notifies a thread when a process maps a file as code, and the thread looks at it at once; about once a second it
//! scans all processes: for libraries that they load later, at growing intervals, and for libraries that the distribution of each container
//! has in the usual directories.

mod elf;
mod code;
mod golang;
mod target;
mod process;
mod news;
mod single;
mod link;
mod tracer;
mod watch;

pub(crate) use watch::Watch;
