//! Guests that misbehave: on request, or each in one way of its own. See tests/guests.

pub mod conformance;

/// The decoder, sampler and enricher that does what `{"do": ...}` in its configuration says.
pub static FAULTY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/faulty.wasm"));

/// Its core module: not yet a component.
pub static FAULTY_CORE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/faulty.core.wasm"));

/// The enricher that asks the host what its configuration says.
pub static CURIOUS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/curious.wasm"));
