//! `[plugins]`: the plugin of a slot, its grants, limits and fallback.

use std::collections::BTreeMap;

use host_api::{OnFaults, Slot};
use host_model::Fallback;
use host_plugin::limits::MOST_FAULTS;
use host_plugin::{Grants, NATIVE_CODE, Quarantine};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, LimitsConfig, Span};

/// One plugin.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PluginConfig {
    /// `false` leaves the slot empty.
    pub enabled: Option<bool>,
    /// Name of a component in the binary, or path of a file relative to this one (with a `/` or ending in `.wasm` or `.cwasm`). Default: the
    /// component in the binary that is named after the slot; for a decoder without one, `decoder-btf`.
    pub component: Option<String>,
    /// Passed to the plugin at bind, as JSON.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What whoever is in this slot may import besides `log` and `config`: `clock`, `random`, `tables`,
    /// `tables:TABLE:COLUMN,COLUMN`, `maps:MAP`, `maps:MAP:rw`, `maps:MAP:rw:HEX-PREFIX`, `maps:MAP:rw:HEX-PREFIX:100/s`.
    /// Default: nothing; `enricher.process` has `tables`.
    pub grants: Option<Vec<String>>,
    /// What a call may cost.
    pub limits: LimitsConfig,
    /// What becomes of a batch that the plugin fails on. Default: `pass`.
    pub fallback: Option<FallbackName>,
    /// What is done about a plugin that faults again and again. Default: `previous`.
    pub on_faults: Option<OnFaults>,
    /// How many faults are again and again.
    pub quarantine: QuarantineConfig,
}

/// What becomes of a batch whose plugin failed. It is marked either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FallbackName {
    /// It goes on: records as raw events, all rows kept, without the columns of the enricher.
    Pass,
    /// It ends here, and counts as sampled out.
    Drop,
}

/// So many faults within so much time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuarantineConfig {
    /// Faults. Default 10.
    pub faults: Option<u32>,
    /// Time. Default 60s.
    pub window: Option<Span>,
}

// === impl PluginConfig ===

impl PluginConfig {
    pub(super) fn check(&self, slot: &Slot) -> Result<(), ConfigError> {
        let wrong = |key: &str, message: String| Err(ConfigError::Value { key: format!("plugins.{slot}.{key}"), message });
        match Grants::parse(self.grants.as_deref().unwrap_or_default()) {
            Ok(grants) if grants.native_code => {
                let message =
                    format!("`{NATIVE_CODE}` is for whoever answers for code, not for a slot; write it into [[grants]]");
                return wrong("grants", message);
            }
            Ok(_) => {}
            Err(error) => return wrong("grants", error.to_string()),
        }
        if self.on_faults == Some(OnFaults::Off) && self.quarantine != QuarantineConfig::default() {
            return wrong("quarantine", "with `on_faults = \"off\"` nothing is quarantined; remove one of the two".into());
        }
        if self.quarantine.faults == Some(0) {
            return wrong("quarantine.faults", "0 faults are none; write at least 1, or `on_faults = \"off\"`".into());
        }
        if let Some(faults) = self.quarantine.faults.filter(|faults| *faults > MOST_FAULTS) {
            return wrong("quarantine.faults", format!("{faults} faults are not counted; write at most {MOST_FAULTS}"));
        }
        self.limits.check(&format!("plugins.{slot}.limits"))
    }

    /// Returns the number of faults after which a plugin of this slot is quarantined; None if it never is.
    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        if self.on_faults == Some(OnFaults::Off) {
            return None;
        }
        let default = Quarantine::default();
        Some(Quarantine {
            faults: self.quarantine.faults.unwrap_or(default.faults),
            window: self.quarantine.window.map_or(default.window, |window| window.0),
        })
    }
}

// === impl FallbackName ===

impl From<FallbackName> for Fallback {
    fn from(name: FallbackName) -> Self {
        match name {
            FallbackName::Pass => Self::Pass,
            FallbackName::Drop => Self::Drop,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn plugin(text: &str) -> Result<PluginConfig, String> {
        let text = format!("[plugins.sampler]\n{text}");
        let config = Config::parse(Path::new("host.toml"), &text).map_err(|error| error.to_string())?;
        Ok(config.plugins.get(&Slot::Sampler).unwrap().clone())
    }

    #[test]
    fn what_is_off_is_never_quarantined_and_the_rest_after_what_it_says() {
        assert_eq!(plugin("").unwrap().quarantine(), Some(Quarantine::default()));
        assert_eq!(plugin("on_faults = \"off\"").unwrap().quarantine(), None);
        let three = plugin("on_faults = \"fallback\"\nquarantine = { faults = 3, window = \"2m\" }").unwrap().quarantine();
        assert_eq!(three, Some(Quarantine { faults: 3, window: std::time::Duration::from_secs(120) }));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let off = plugin("on_faults = \"off\"\nquarantine = { faults = 3 }").unwrap_err();
        assert!(off.starts_with("plugins.sampler.quarantine: "), "{off}");
        assert!(plugin("quarantine = { faults = 0 }").unwrap_err().contains("on_faults"));
        assert!(plugin("grants = [\"clocks\"]").unwrap_err().starts_with("plugins.sampler.grants: `clocks` is not a grant"));
    }
}
