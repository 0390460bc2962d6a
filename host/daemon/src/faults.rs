//! Faults of plugins: told once in a while, and kept with all that it takes to repeat them.

pub(crate) mod observer;
pub(crate) mod seldom;
pub mod repro;
