//! A slot: a named place on the path that holds one plugin.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use host_model::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A slot by its name: `decoder.<probe>`, `sampler`, `sampler.<probe>`, `enricher.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The decoder of one path.
    Decoder(String),
    /// The sampler of every path that has none of its own.
    Sampler,
    /// The sampler of one path.
    SamplerOf(String),
    /// An enricher of every path.
    Enricher(String),
}

/// The error of a name that is not a slot's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a slot; slots are `decoder.<probe>`, `sampler`, `sampler.<probe>` and `enricher.<name>`")]
pub struct NotASlot(String);

/// Maximum bytes of the name of a probe or an enricher.
const MAX_NAME: usize = 64;

// === impl Slot ===

impl Slot {
    /// Returns the role that a component in this slot must export.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self {
            Self::Decoder(_) => Role::Decoder,
            Self::Sampler | Self::SamplerOf(_) => Role::Sampler,
            Self::Enricher(_) => Role::Enricher,
        }
    }

    /// Whether a plugin in this slot works on this path. A sampler of all paths works on those without one of their own.
    #[must_use]
    pub fn serves(&self, probe: &str) -> bool {
        match self {
            Self::Decoder(of) | Self::SamplerOf(of) => of == probe,
            Self::Sampler | Self::Enricher(_) => true,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decoder(probe) => write!(f, "decoder.{probe}"),
            Self::Sampler => f.write_str("sampler"),
            Self::SamplerOf(probe) => write!(f, "sampler.{probe}"),
            Self::Enricher(name) => write!(f, "enricher.{name}"),
        }
    }
}

impl FromStr for Slot {
    type Err = NotASlot;

    fn from_str(text: &str) -> Result<Self, NotASlot> {
        let named = |name: &str| is_name(name).then(|| name.to_owned());
        match text.split_once('.') {
            None if text == "sampler" => Some(Self::Sampler),
            Some(("decoder", probe)) => named(probe).map(Self::Decoder),
            Some(("sampler", probe)) => named(probe).map(Self::SamplerOf),
            Some(("enricher", name)) => named(name).map(Self::Enricher),
            _ => None,
        }
        .ok_or_else(|| NotASlot(text.chars().take(MAX_NAME).collect()))
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Slot {
    fn schema_name() -> Cow<'static, str> {
        "Slot".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A slot by its name: `decoder.<probe>`, `sampler`, `sampler.<probe>`, `enricher.<name>`.",
        })
    }
}

/// Whether `text` can name a probe or an enricher: it becomes part of slots, metrics and thread names.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_read_as_it_is_written() {
        for name in ["decoder.file", "sampler", "sampler.tcp", "enricher.process"] {
            assert_eq!(name.parse::<Slot>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_not_a_slot_is_refused_without_control_characters() {
        for name in ["", "samplr", "decoder", "decoder.", "enricher.a b", "exporter.x"] {
            assert!(name.parse::<Slot>().is_err(), "{name}");
        }
        let error = "sampler.\x1b[31m".parse::<Slot>().unwrap_err();
        assert!(!error.to_string().contains('\x1b'), "{error}");
    }
}
