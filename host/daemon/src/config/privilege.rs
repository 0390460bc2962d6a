//! `[privilege]`: the privileges that the host requires, and those that it keeps.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the host insists on being allowed, and what it keeps of it. `host doctor --caps` says what that is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrivilegeConfig {
    /// `all`: it is an error if the host may not look into the processes of every user, for names of programs and TLS libraries. Unset:
    /// it looks into those that it may.
    pub processes: Option<ProcessesName>,
    /// What is kept once every probe is attached. Default `needed`.
    pub after_attach: Option<AfterAttach>,
}

/// Whose processes are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProcessesName {
    /// Those of every user.
    All,
}

/// What is kept once every probe is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AfterAttach {
    /// What loads probes later and looks into processes, by the threads that do it.
    #[default]
    Needed,
    /// Nothing: no probe is loaded any more, and only processes of the host's own user are looked into.
    None,
}
