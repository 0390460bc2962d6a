//! `[cache]` and `[repro]`: data kept between two runs, its folder, and its limits.

use std::ffi::OsString;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Size;

/// Compiled code, kept for the next start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Default true.
    pub enabled: Option<bool>,
    /// All of it. Default 512MiB.
    pub max_bytes: Option<Size>,
}

/// Calls that failed, kept to be repeated. They hold what programs did and sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReproConfig {
    /// Default true.
    pub enabled: Option<bool>,
    /// Calls that are kept; the oldest goes first. Default 64.
    pub max_count: Option<u32>,
    /// All of them with their components. Default 256MiB.
    pub max_bytes: Option<Size>,
}

/// Maximum number of repros. 64: the last of every kind of a handful of plugins.
pub(crate) const MAX_REPROS: usize = 64;
/// Maximum bytes of all repros. 256 MiB: 64 runs of full size with a few large components.
pub(crate) const MAX_REPRO_BYTES: u64 = 256 << 20;

/// Returns the default state folder: `$STATE_DIRECTORY`, which systemd sets; else for root `/var/lib/host`; else `host` in
/// `$XDG_STATE_HOME` or in `~/.local/state`. None for a user without a home.
#[must_use]
pub fn default_state_dir() -> Option<PathBuf> {
    folder(rustix::process::geteuid().is_root(), |name| std::env::var_os(name))
}

fn folder(root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(folders) = set("STATE_DIRECTORY") {
        // systemd separates several folders by colons.
        return std::env::split_paths(&folders).next();
    }
    if root {
        return Some("/var/lib/host".into());
    }
    let state = set("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    state.or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state"))).map(|folder| folder.join("host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_services_or_the_users() {
        let of = |root: bool, variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
            folder(root, variable).map(|folder| folder.to_string_lossy().into_owned())
        };
        assert_eq!(of(true, &[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")]).as_deref(), Some("/var/lib/a"));
        assert_eq!(of(true, &[("HOME", "/h")]).as_deref(), Some("/var/lib/host"));
        assert_eq!(of(false, &[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]).as_deref(), Some("/s/host"));
        assert_eq!(of(false, &[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]).as_deref(), Some("/h/.local/state/host"));
        assert_eq!(of(false, &[]), None);
    }
}
