//! The real binary on a real kernel, used like an operator uses it. See ../README.md for what each room proves.

mod ground_truth;
mod swaps;
mod thousand;
mod state;
mod shadow;
mod survival;
mod refusals;
mod collector;
mod signals;
mod idle;
mod configuration;
mod user_probe;
mod unprivileged;
mod replay;
mod privilege;

mod guests;
