//! One hostile component per behaviour, and what the host does about it. A guest without a test does not compile; after each
//! test plugins that behave are called in the same engine, and nothing of what happened may show.

#[macro_use]
mod must;
mod rig;

// Guests that are never called, because their bytes tell.
mod bytes;
mod birth;

// Guests that fail where they are bound.
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
