//! The plugins that come with the host, inside the binary: as components, or, without feature `wasm`, as code of the target and
//! of the interpreter, for a host that has no compiler.

#![forbid(unsafe_code)]

#[cfg(feature = "wasm")]
mod components;
#[cfg(not(feature = "wasm"))]
mod packed;

#[cfg(feature = "wasm")]
pub use components::{COMPONENTS, Component};
#[cfg(not(feature = "wasm"))]
pub use packed::{COMPONENTS, Component};

/// The component of this name.
#[must_use]
pub fn component(name: &str) -> Option<&'static Component> {
    COMPONENTS.iter().find(|component| component.name == name)
}

/// These bytes as they are in the binary, if they are: then they are as trustworthy as the binary itself.
#[must_use]
pub fn own(bytes: &[u8]) -> Option<&'static [u8]> {
    COMPONENTS.iter().find_map(|component| component.own(bytes))
}
