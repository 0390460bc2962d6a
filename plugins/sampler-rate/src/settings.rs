//! The settings, checked.

use plugin_sdk::Config;
use serde::Deserialize;

/// The operator's settings; the README explains each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Number of rows per second that are kept for each key.
    pub per_second: u64,
    /// The field whose values are the keys.
    pub key: String,
    /// Whether failed rows are always kept.
    pub keep_failed: bool,
    /// Duration from which rows are always kept; 0 for none.
    pub slow_ms: u64,
    /// Maximum number of keys that are distinguished.
    pub max_keys: usize,
}

/// Maximum of `max_keys`: with more, the state would exceed the host's default limit (4 MiB).
const MOST_KEYS: usize = 100_000;

impl Default for Settings {
    fn default() -> Self {
        Self { per_second: 100, key: "process.pid".into(), keep_failed: true, slow_ms: 0, max_keys: 4096 }
    }
}

impl Settings {
    /// Parses the settings from a slot's configuration.
    ///
    /// # Errors
    /// The invalid setting, and its allowed values.
    pub fn parse(config: Config<'_>) -> Result<Self, String> {
        let settings: Self = config.parse()?;
        if settings.per_second == 0 {
            return Err(
                "configuration: `per_second` is 0; it may be 1 or more (`sampler-ratio` with `ratio` 0 drops all)".into()
            );
        }
        if !(1..=MOST_KEYS).contains(&settings.max_keys) {
            return Err(format!("configuration: `max_keys` is {}; it may be 1 to {MOST_KEYS}", settings.max_keys));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use plugin_sdk::Config;

    #[test]
    fn what_cannot_be_is_refused_with_what_may_be() {
        let refusal = |json| Settings::parse(Config::new(json)).unwrap_err();
        assert!(refusal(r#"{"per_second": 0}"#).contains("may be 1 or more"));
        assert!(refusal(r#"{"per_second": -1}"#).contains("-1"));
        assert!(refusal(r#"{"max_keys": 0}"#).contains("may be 1 to 100000"));
        assert!(refusal(r#"{"keys": "a"}"#).contains("unknown field `keys`, expected one of `per_second`, `key`"));
        assert_eq!(Settings::parse(Config::new("{}")), Ok(Settings::default()));
    }
}
