//! Runs plugins safely, from a component's bytes to its calls.
//!
//! ```text
//! bytes -> inspect -> grant -> compile -> instantiate -> expects, bind -> calls
//! ```
//!
//! The results are stages of `host-model`: a [`Decoder`](host_model::Decoder), [`Sampler`](host_model::Sampler) or
//! [`Enricher`](host_model::Enricher) that runs in a sandbox. Whatever a guest does (trap, loop, invalid answers, growth) ends as a
//! [`Fault`](host_model::Fault) or a [`PluginError`], never as a panic or a stall.
//!
//! This crate watches no files and has no slots and no paths: those belong to the daemon. The only directory that it uses is the cache of
//! compiled code. Without feature `compiler` there is neither compiler nor cache: it runs compiled plugins only.

#![deny(unsafe_code)]

// From the bytes to the check of the grants.
pub mod grant;
pub mod inspect;
mod inspection;
mod refusal;
mod sections;
pub mod signature;
mod version;

// From machine code to a live instance.
#[cfg(feature = "compiler")]
pub mod apart;
#[cfg(feature = "compiler")]
mod cache;
pub mod compiled;
mod component;
mod deadline;
mod engine;
mod imports;
mod instance;
mod limiter;
pub mod limits;
mod map;

// Calls.
mod backoff;
mod breach;
mod columns;
mod decoder;
mod enricher;
mod guard;
mod recogniser;
mod sampler;

#[doc(hidden)]
pub mod fuzzing;

use host_model::Fallback;

#[cfg(feature = "compiler")]
pub use apart::Apart;
#[cfg(feature = "compiler")]
pub use cache::{Cache, CacheError, CacheUse, Precompiled, precompile};
pub use compiled::TARGETS;
#[cfg(feature = "compiler")]
pub use compiled::compile_for;
pub use component::Component;
pub use engine::{COMPILES, Engine, EngineError, Execution, INSTANCES};
pub use grant::{GrantError, Grants, MapGrant, NATIVE_CODE, Need, TableGrant, need};
pub use imports::{Clock, Host, SystemClock};
pub use inspect::inspect;
pub use inspection::{Compiled, Inspection};
pub use limits::{Deadlines, Limits, Quarantine};
pub use refusal::{PluginError, Refusal, Step};
pub use version::SPOKEN;

/// Adapter that implements WASI preview 1 inside the component, for `wasm-tools component new --adapt wasi_snapshot_preview1=FILE`. Source
/// and reasons are in `adapters/`.
pub const STUB_ADAPTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wasi_snapshot_preview1.stub.wasm"));

/// The settings of a plugin in a slot.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its configuration, a JSON object.
    pub config: String,
    /// Its permissions.
    pub grants: Grants,
    /// Its limits.
    pub limits: Limits,
    /// The fallback for a batch on which it failed.
    pub fallback: Fallback,
    /// The tables, maps and clock of the host.
    pub host: Host,
}

// === impl Setup ===

impl Default for Setup {
    /// No configuration, no grants, the default limits and fallback, and a host without tables and maps.
    fn default() -> Self {
        Self {
            config: "{}".into(),
            grants: Grants::default(),
            limits: Limits::default(),
            fallback: Fallback::default(),
            host: Host::default(),
        }
    }
}
