//! The settings.

use plugin_sdk::Signal;
use serde::Deserialize;

/// The operator's settings. Members are named as in the C struct; roles that are not set are recognised by the members' names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The member with the time.
    pub time: Option<String>,
    /// The member with the duration.
    pub duration: Option<String>,
    /// The member with an errno or a return value.
    pub error: Option<String>,
    /// The name of the event.
    pub event: Option<String>,
    /// The signal of a row.
    pub signal: Option<Becomes>,
    /// Members that are dimensions of metrics.
    pub dimensions: Vec<String>,
    /// Members that may reveal data that a program sent, read or received.
    pub sensitive: Vec<String>,
}

/// The signal of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Becomes {
    /// A span.
    Span,
    /// A log record.
    Log,
    /// None; only metrics are exported.
    None,
}

impl From<Becomes> for Signal {
    fn from(becomes: Becomes) -> Self {
        match becomes {
            Becomes::Span => Self::Span,
            Becomes::Log => Self::Log,
            Becomes::None => Self::None,
        }
    }
}
