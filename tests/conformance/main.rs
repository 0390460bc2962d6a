//! One hostile component per behaviour, and the host's reaction to it. A guest without a test does not compile; after each test good
//! plugins are called in the same engine, and must not be affected.

#[macro_use]
mod must;
mod rig;

// Guests that are never called: their bytes are enough to refuse them.
mod bytes;
mod birth;

// Guests that fail when they are bound.
mod binding;
mod schemas;

// Guests that fail in calls.
mod loops;
mod traps;
mod memory;
mod output;
mod answers;
mod sampling;
mod requests;
mod state;
