//! `[protocols]`: the protocols that are looked for on connections, and at which ports.

use std::collections::BTreeMap;
use std::fmt;

use host_model::Description;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::ConfigError;

/// Protocols that are spoken over connections: what becomes of the records of probe `l7`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtocolsConfig {
    /// Which of those in the binary are looked for. Default: all. One of your own is in `plugins."decoder.NAME"`.
    pub enabled: Option<Vec<String>>,
    /// Ports of servers, and the protocol that is spoken there whatever it looks like: `{ 6380 = "redis" }`.
    #[schemars(with = "BTreeMap<String, String>")]
    pub ports: BTreeMap<Port, String>,
    /// Bytes of each call that are captured at least once its protocol is known, at most 4096: a protocol that asks for more gets
    /// it. Default 256. Until then it is 4096. Heads of HTTP are captured whole, up to 16 KiB of a call.
    pub capture_bytes: Option<u32>,
}

/// A port, as the key of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(pub u16);

// === impl ProtocolsConfig ===

impl ProtocolsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, message: String| Err(ConfigError::Value { key: format!("protocols.{key}"), message });
        match self.capture_bytes {
            Some(bytes) if bytes == 0 || bytes > Description::CAPTURE => {
                wrong("capture_bytes", format!("{bytes} bytes of a call; write 1 to {}", Description::CAPTURE))
            }
            _ => Ok(()),
        }
    }

    /// Returns the pinned ports.
    pub(crate) fn pins(&self) -> BTreeMap<u16, String> {
        self.ports.iter().map(|(port, protocol)| (port.0, protocol.clone())).collect()
    }
}

// === impl Port ===

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(D::Error::custom(format!("`{text}` is not a port; write 1 to 65535"))),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("host.toml"), text).map_err(|error| format!("{error}; {}", error.cure()))
    }

    #[test]
    fn ports_are_pinned_to_protocols() {
        let config = parse("[protocols]\nports = { 6380 = \"redis\", \"53\" = \"dns\" }\nenabled = [\"http\"]").unwrap();
        assert_eq!(config.protocols.pins(), [(53, "dns".to_owned()), (6380, "redis".to_owned())].into());
        assert_eq!(config.protocols.enabled.unwrap(), ["http"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        for port in ["0", "65536", "http"] {
            let error = parse(&format!("[protocols.ports]\n{port} = \"redis\"")).unwrap_err();
            assert!(error.contains("host.toml:2:") && error.contains("is not a port"), "{error}");
        }
        let error = parse("[protocols]\ncapture_bytes = 5000").unwrap_err();
        assert!(error.contains("protocols.capture_bytes") && error.contains("1 to 4096"), "{error}");
        assert!(parse("[protocols]\nenable = []").unwrap_err().contains("did you mean `enabled`?"));
    }
}
