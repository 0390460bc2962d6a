//! The settings that all protocols have.

use serde_json::{Map, Value};

use crate::config::Config;

/// They are removed from the configuration before the protocol sees its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `timeout`: time without activity after which requests time out. None: the default of the protocol.
    pub timeout_ns: Option<u64>,
    /// `connections`: maximum number of connections that are stored. 8192: with 500 bytes for each, 4 MiB.
    pub connections: usize,
    /// `buffer_bytes`: maximum heap of all connections, half messages and the state of protocols. 8 MiB: 512 half messages of the maximum
    /// length, and far from the 32 MiB at which the host replaces an instance.
    pub buffer_bytes: usize,
}

/// Maximum of `connections`: with more, the table alone would fill the memory of an instance.
const MOST_CONNECTIONS: u64 = 65_536;
/// Maximum of `buffer_bytes`, for the same reason.
const MOST_BYTES: u64 = 64 << 20;
/// Maximum of `timeout`, a day.
const LONGEST_NS: u64 = 24 * HOUR_NS;
const HOUR_NS: u64 = 3_600_000_000_000;

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self { timeout_ns: None, connections: 8192, buffer_bytes: 8 << 20 }
    }
}

impl Settings {
    /// Returns these settings, and the rest of the configuration as JSON.
    pub(crate) fn split(config: Config<'_>) -> Result<(Self, String), String> {
        let mut values: Map<String, Value> = config.parse()?;
        let mut settings = Self::default();
        if let Some(value) = values.remove("timeout") {
            let time = value.as_str().and_then(duration);
            settings.timeout_ns = Some(time.ok_or_else(|| wrong("timeout", "\"30s\" or \"500ms\"", &value))?);
        }
        if let Some(value) = values.remove("connections") {
            settings.connections = count("connections", &value, MOST_CONNECTIONS)?;
        }
        if let Some(value) = values.remove("buffer_bytes") {
            settings.buffer_bytes = count("buffer_bytes", &value, MOST_BYTES)?;
        }
        Ok((settings, Value::Object(values).to_string()))
    }
}

fn count(key: &str, value: &Value, most: u64) -> Result<usize, String> {
    let number = value.as_u64().filter(|number| (1..=most).contains(number));
    number.map(|number| number as usize).ok_or_else(|| wrong(key, &format!("a number from 1 to {most}"), value))
}

fn wrong(key: &str, wanted: &str, value: &Value) -> String {
    format!("configuration: `{key}` is {value}, not {wanted}")
}

/// Parses `30s`, `1m`, `500ms` to nanoseconds; returns None for text that is not a time, 0, or longer than a day.
fn duration(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => HOUR_NS,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|time| (1..=LONGEST_NS).contains(time))
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use crate::config::Config;

    #[test]
    fn the_protocol_sees_its_own_settings_alone() {
        let config = Config::new(r#"{"timeout": "500ms", "routes": ["/a"], "connections": 16}"#);
        let (settings, rest) = Settings::split(config).unwrap();
        assert_eq!(settings, Settings { timeout_ns: Some(500_000_000), connections: 16, ..Settings::default() });
        assert_eq!(rest, r#"{"routes":["/a"]}"#);
        assert_eq!(Settings::split(Config::new("")).unwrap(), (Settings::default(), "{}".into()));
    }

    #[test]
    fn what_is_no_time_and_no_number_is_refused_by_name() {
        for (json, says) in [
            (r#"{"timeout": 30}"#, "`timeout` is 30, not \"30s\""),
            (r#"{"timeout": "25h"}"#, "`timeout` is \"25h\""),
            (r#"{"timeout": "99999999999999999999s"}"#, "`timeout`"),
            (r#"{"connections": 0}"#, "`connections` is 0, not a number from 1 to 65536"),
            (r#"{"buffer_bytes": -1}"#, "`buffer_bytes` is -1"),
        ] {
            let error = Settings::split(Config::new(json)).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
