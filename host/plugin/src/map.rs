//! Maps compiled code: the only place of this crate where bytes from outside become part of this process.

#![allow(unsafe_code, reason = "compiled code cannot be checked, only its origin can; this room takes nothing but `Origin`")]

use wasmtime::component::Component;

#[cfg(feature = "compiler")]
use crate::apart::Made;
#[cfg(feature = "compiler")]
use crate::cache::Verified;
use crate::compiled::Proven;

/// Code whose origin is known.
pub(crate) enum Origin<'a> {
    /// From the cache, with a tag that was made with the cache's key.
    #[cfg(feature = "compiler")]
    Sealed(&'a Verified),
    /// From a process of this binary that compiled a component.
    #[cfg(feature = "compiler")]
    Made(&'a Made),
    /// From a compiled plugin that the operator trusts, or that is in the binary.
    Proven(&'a Proven<'a>),
}

/// Maps code that a compiler of this project made.
///
/// # Errors
/// The code is for another processor, another version of the runtime, or other settings.
pub(crate) fn load(engine: &wasmtime::Engine, origin: &Origin<'_>) -> wasmtime::Result<Component> {
    let code = match origin {
        #[cfg(feature = "compiler")]
        Origin::Sealed(verified) => verified.code(),
        #[cfg(feature = "compiler")]
        Origin::Made(made) => made.code(),
        Origin::Proven(proven) => proven.code(),
    };
    // SAFETY: these bytes must be what `Component::serialize` or `precompile_component` returned, unchanged. A `Verified` is
    // made only where an HMAC over them was checked, and its key is readable by this user alone, who runs this code anyway. A
    // `Proven` is made only where the operator's configuration grants `native-code` to these bytes or to whoever signed them,
    // or where this binary knows their SHA-256; a `Made` is what a process of this binary wrote that had the compiler and nothing but
    // a component, into a pipe that only it and this process hold. They are a copy in private memory, so that a file may change meanwhile. The
    // runtime itself checks that architecture, processor features, version and settings fit.
    unsafe { Component::deserialize(engine, code) }
}
