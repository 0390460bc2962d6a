//! The settings.

use plugin_sdk::Signal;
use serde::Deserialize;

/// What the operator may set. Members are named as in the C struct; what is not set is recognised by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The member that is the time.
    pub time: Option<String>,
    /// The member that is the duration.
    pub duration: Option<String>,
    /// The member that is an errno or a return value.
    pub error: Option<String>,
    /// The name of the event.
    pub event: Option<String>,
    /// What a row becomes.
    pub signal: Option<Becomes>,
    /// Members that tell metric series apart.
    pub dimensions: Vec<String>,
    /// Members that reveal what a program sent, read or was given.
    pub sensitive: Vec<String>,
}

/// What a row becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Becomes {
    /// A span.
    Span,
    /// A log record.
    Log,
    /// Nothing; only the metrics leave.
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
