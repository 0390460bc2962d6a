//! The exporter against collectors in the same process: requests are decoded with the reference implementation's own types, and the
//! counters must match them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first wrong answer"
)]
#![allow(unreachable_pub, reason = "nothing is reachable in a test binary")]

mod collector;
mod rows;

mod logs;
mod metrics;
mod privacy;
mod spans;

mod delivery;
mod grpc;
mod retries;
mod tls;

mod environment;

mod lines;

mod captures;
