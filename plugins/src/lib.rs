//! The plugins that come with the host, inside the binary: as components, or, without feature `wasm`, as code of the target and of the
//! interpreter, for a host without a compiler.

#![forbid(unsafe_code)]

#[cfg(feature = "wasm")]
mod components;
#[cfg(not(feature = "wasm"))]
mod packed;

#[cfg(feature = "wasm")]
pub use components::{COMPONENTS, Code, Component, code, digests};
#[cfg(not(feature = "wasm"))]
pub use packed::{COMPONENTS, Code, Component, code, digests};

/// Returns the component of this name.
#[must_use]
pub fn component(name: &str) -> Option<&'static Component> {
    COMPONENTS.iter().find(|component| component.name == name)
}
