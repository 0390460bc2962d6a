//! Probes against ground truth: known numbers of calls, processes and connections, and the kernel half's counts of them.
//!
//! Each test names its own threads or has its own cgroup and filters by it, so that tests can run side by side.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "tests")]

#[macro_use]
mod reading;
mod file;
mod exec;
mod tcp;
mod calls;
mod l7;
mod heads;
mod beginnings;
mod datagrams;
mod choice;
mod tls;
mod plans;
mod rings;
mod objects;
mod without_btf;
mod privilege;
