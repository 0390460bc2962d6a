//! Faults of plugins: logged at a limited rate, and stored with all the data needed to repeat them.

pub(crate) mod observer;
pub(crate) mod seldom;
pub mod repro;
