//! A decoder of a custom protocol in C, as a component.

#![forbid(unsafe_code)]

/// The component.
pub static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/decoder.wasm"));
