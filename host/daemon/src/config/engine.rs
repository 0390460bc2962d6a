//! `[engine]`: how plugins are run and compiled.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Size, Span};

/// What runs the plugins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// `true`: plugins are interpreted, and no memory is made executable. `false`: they never are. Default: only where the system
    /// forbids executable memory.
    pub interpret: Option<bool>,
    /// Instances that may live at the same time: one for each path and stage, twice during a swap. Each takes 4 GiB of addresses, and
    /// memory only as it uses it. Default 256.
    pub instances: Option<u32>,
    /// Time that a component which did not come with the host may take to be compiled. Default 60s.
    pub compile_time: Option<Span>,
    /// Memory that its compilation may take. Default 1GiB.
    pub compile_memory: Option<Size>,
    /// Plugins that a slot keeps for a rollback, the live one included. Default 8.
    pub generations: Option<u32>,
}

/// Default number of generations kept for a rollback: compiled, so that going back is as quick as going forward.
pub(crate) const KEPT: usize = 8;
