//! Loads and attaches BPF objects, and reads their rings.
//!
//! ```text
//! object bytes -> load (filter set, sizes set, verified) -> attach (each program on its own) -> source (runs of records)
//! ```
//!
//! Everything that needs privilege is behind this crate's small API, and this is the only crate with `unsafe`: memory shared with the
//! kernel. Reading an attached probe needs no privilege. The meaning of a record is not known here.
//!
//! ```no_run
//! use std::time::Duration;
//! use host_kernel::{LoadOptions, catalog};
//!
//! let probe = catalog::find("file").ok_or("no such probe")?;
//! let mut loaded = host_kernel::load(probe.name, probe.object, &LoadOptions::default())?;
//! loaded.attach()?;
//! let mut source = loaded.source()?;
//! source.wait(64 * 1024, Duration::from_millis(50));
//! let run = source.run(1024, 256 * 1024);
//! println!("{} records", run.records);
//! source.release();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Dropping a [`LoadedProbe`] detaches it; its source may be read to the end after that.
#![allow(unsafe_code, reason = "memory shared with the kernel, and system calls that neither std nor rustix has")]

pub mod catalog;
mod object;
mod layout;
mod filter;
pub mod cgroup;
mod btf;
mod choice;
mod attach;
mod tracepoint;
mod uprobe;
pub mod arrivals;
mod ring;
mod clock;
mod plan;
mod payload;
mod maps;
pub mod capabilities;
pub mod release;
pub mod privileged;
pub mod file;
mod talk;
mod sound;
pub mod regular;
mod heap;
pub mod executable;
mod error;

pub use catalog::BuiltIn;
pub use error::KernelError;
pub use heap::{bytes_in_use, give_back, one_heap, small_pages};
pub use layout::LayoutError;
pub use object::{Hooks, LoadOptions, LoadedProbe, examine, hooks, load};
