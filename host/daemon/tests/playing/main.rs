//! Daemons that play the embedded capture: the whole path with the plugins in the binary and one that misbehaves on request,
//! without privilege.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first wrong answer; in the functions that they share, clippy does not know that it is one"
)]

mod guests;
mod house;

mod replay;

mod swaps;

mod history;

mod grants;

mod protocols;
mod quarantine;

mod repros;

mod shadows;

mod cache;

mod control;
