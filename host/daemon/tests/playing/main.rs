//! Daemons that play the embedded capture: the whole path with the plugins in the binary, without privilege.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first wrong answer; in the functions that they share, clippy does not know that it is one"
)]

mod house;

mod replay;

mod swaps;

mod control;
