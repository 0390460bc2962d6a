//! Probes against ground truth: known numbers of calls, processes and connections, and what the kernel half made of them.
//!
//! Each test names its own threads or has its own cgroup and filters by it, so that they can run side by side.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod exec;
mod file;
mod objects;
mod plans;
mod reading;
mod rings;
mod tcp;
