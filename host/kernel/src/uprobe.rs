//! Breakpoints in other people's programs: where TLS libraries have the plaintext.
//!
//! ```text
//! processes -> files (libssl, programs) -> places in their code -> one link per file and program -> records of the probe
//! ```
//!
//! A breakpoint belongs to a file, not to a process: whoever runs the file is traced from its first instruction on. So what has to be
//! found is files. A thread is told what processes map to run it, and looks at once; about once a second it looks at all of them, at
//! what they load later ever more rarely, and at what the distribution of each container has in the usual places.

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
