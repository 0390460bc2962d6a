//! The one place of this crate that trusts bytes: machine code from the cache becomes part of this process.

#![allow(unsafe_code, reason = "compiled code cannot be checked, only its origin can; this room takes nothing but `Verified`")]

use wasmtime::component::Component;

use super::entry::Verified;

/// Maps code that this host's compiler made.
///
/// # Errors
/// It is for another processor, another version of the runtime, or other settings.
pub(super) fn load(engine: &wasmtime::Engine, code: &Verified) -> wasmtime::Result<Component> {
    // SAFETY: these bytes must be what `Component::serialize` or `precompile_component` returned, unchanged. A `Verified` is
    // made only where an HMAC over them was checked, and its key is readable by this user alone, who runs this code anyway.
    // They are a copy in private memory, so that the file may change meanwhile. The runtime itself checks that
    // architecture, processor features, version and settings fit.
    unsafe { Component::deserialize(engine, code.code()) }
}
