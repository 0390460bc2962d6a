//! The settings, checked.

use plugin_sdk::Config;
use serde::Deserialize;

/// The operator's settings; the README explains each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The share of rows that is kept, 0 to 1.
    pub ratio: f64,
    /// Fields whose values are hashed for the decision, so that rows with equal values are kept or dropped together.
    pub hash: Vec<String>,
    /// Whether failed rows are always kept.
    pub keep_failed: bool,
    /// Duration from which rows are always kept; 0 for none.
    pub slow_ms: u64,
    /// Maximum number of rows per second, to which the ratio is adapted.
    pub budget_per_second: Option<u64>,
    /// Whether the kernel is asked to drop rows far over the budget.
    pub kernel: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ratio: 1.0, hash: Vec::new(), keep_failed: true, slow_ms: 100, budget_per_second: None, kernel: false }
    }
}

impl Settings {
    /// Parses the settings from a slot's configuration.
    ///
    /// # Errors
    /// The invalid setting, and its allowed values.
    pub fn parse(config: Config<'_>) -> Result<Self, String> {
        let settings: Self = config.parse()?;
        if !(0.0..=1.0).contains(&settings.ratio) {
            return Err(format!("configuration: `ratio` is {}; it may be 0 to 1", settings.ratio));
        }
        if settings.budget_per_second == Some(0) {
            return Err("configuration: `budget_per_second` is 0; leave it out for no budget, or set `ratio` to 0".into());
        }
        if settings.kernel && settings.budget_per_second.is_none() {
            return Err("configuration: `kernel` needs a `budget_per_second` to aim at".into());
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
        assert!(refusal(r#"{"ratio": 1.5}"#).contains("may be 0 to 1"));
        assert!(refusal(r#"{"ratoi": 0.5}"#).contains("unknown field `ratoi`, expected one of `ratio`, `hash`"));
        assert!(refusal(r#"{"budget_per_second": 0}"#).contains("leave it out"));
        assert!(refusal(r#"{"kernel": true}"#).contains("budget_per_second"));
        assert_eq!(Settings::parse(Config::new("{}")), Ok(Settings::default()));
    }
}
