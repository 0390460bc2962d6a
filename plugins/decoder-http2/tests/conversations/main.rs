//! What becomes of conversations.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first wrong answer, and so may what helps it"
)]

// What they are made of.
mod calls;
mod frames;

mod beginnings;
mod golden;
mod hostile;
mod mutations;
mod routes;
mod streams;
