//! What runs the plugins.

use schemars::JsonSchema;
use serde::Deserialize;

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
    /// Plugins that a slot keeps for a rollback, the live one included. Default 8.
    pub generations: Option<u32>,
}
