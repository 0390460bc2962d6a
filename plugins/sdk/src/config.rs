//! The slot's configuration.

use serde::de::DeserializeOwned;

/// The configuration that a plugin is bound with: a JSON object, `{}` if there is none.
///
/// ```
/// #[derive(Default, serde::Deserialize)]
/// #[serde(deny_unknown_fields, default)]
/// struct Settings {
///     ratio: f64,
/// }
///
/// let config = plugin_sdk::Config::new(r#"{"ratoi": 0.5}"#);
/// let error = config.parse::<Settings>().err().unwrap();
/// assert!(error.contains("unknown field `ratoi`, expected `ratio`"), "{error}");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Config<'a> {
    json: &'a str,
}

/// Maximum number of characters of a configuration that an error shows.
const SHOWN: usize = 100;

// === impl Config ===

impl<'a> Config<'a> {
    /// Wraps JSON text.
    #[must_use]
    pub const fn new(json: &'a str) -> Self {
        Self { json }
    }

    /// Returns the JSON text.
    #[must_use]
    pub const fn json(self) -> &'a str {
        self.json
    }

    /// Parses the settings. Give the type `#[serde(deny_unknown_fields, default)]`, so that a misspelt key is an error that names the known
    /// ones.
    ///
    /// # Errors
    /// The position at which the text does not match the type, for the operator.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, String> {
        let json = if self.json.trim().is_empty() { "{}" } else { self.json };
        serde_json::from_str(json).map_err(|error| format!("configuration: {error}"))
    }

    /// Checks the configuration of a plugin without settings. It recognises `{}` without a JSON parser, which such a plugin does not need.
    ///
    /// # Errors
    /// There is a setting.
    pub fn none(self) -> Result<(), String> {
        let bare: String = self.json.chars().filter(|c| !c.is_whitespace()).take(SHOWN).collect();
        match &*bare {
            "" | "{}" => Ok(()),
            _ => Err(format!("configuration: this plugin has no settings, but was given {bare}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn a_plugin_without_settings_refuses_any_by_name() {
        assert_eq!(Config::new("{}").none(), Ok(()));
        assert_eq!(Config::new("").none(), Ok(()));
        assert_eq!(Config::new("{\n }").none(), Ok(()));
        let error = Config::new(r#"{"ratio": 1}"#).none().unwrap_err();
        assert!(error.contains(r#"{"ratio":1}"#), "{error}");
    }
}
