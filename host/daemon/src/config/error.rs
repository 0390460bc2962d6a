//! Errors of a configuration: the position, and the key that was probably meant.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use host_model::printable;
use toml::de::{DeTable, DeValue};

/// An error of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The text is not TOML, or not a configuration.
    #[error("{}:{line}:{column}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// The problem at that position.
        problem: Problem,
    },
    /// A value that is valid TOML but not allowed, alone or with other keys.
    #[error("{}: {}", printable(key, KEY), printable(message, MESSAGE))]
    Value {
        /// The key, dotted.
        key: String,
        /// The problem with its value, and a valid one.
        message: String,
    },
}

/// A problem at one position of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A key that does not exist.
    UnknownKey {
        /// The key, dotted.
        key: String,
        /// The most similar known key, if one is similar enough.
        nearest: Option<String>,
        /// The keys known at this position.
        known: Vec<String>,
    },
    /// A value of the wrong type or form.
    Value {
        /// The key of the value, dotted; empty if the file is not TOML.
        key: String,
        /// The problem.
        message: String,
    },
}

/// Maximum bytes shown of a key, and of a problem with its value: both may quote the file.
const KEY: usize = 200;
const MESSAGE: usize = 1000;

/// Minimum similarity, 0 to 1, at which an unknown key counts as a misspelt known one.
const NEAR: f64 = 0.6;

// === impl ConfigError ===

impl ConfigError {
    /// Returns the cure.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::Read { file, .. } => format!("check that {} exists and is readable, or leave --config out", file.display()),
            Self::Line { problem: Problem::UnknownKey { nearest: Some(nearest), .. }, .. } => format!("write `{nearest}`"),
            Self::Line { problem: Problem::UnknownKey { .. }, .. } => {
                "remove the key, or see docs/host.toml for those there are".into()
            }
            Self::Line { line, .. } => format!("correct line {line}; docs/host.toml shows every key"),
            Self::Value { key, .. } => format!("correct `{}`; docs/host.toml shows every key", printable(key, KEY)),
        }
    }

    /// Finds the position and the key of a parser error.
    pub(super) fn locate(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let (line, column) = position(text, span.start);
        let message = error.message();
        let mut path = Vec::new();
        if let Ok(document) = DeTable::parse(text) {
            find(document.get_ref(), &span, &mut path);
        }
        let problem = match unknown(message) {
            Some((key, known)) => {
                let nearest = nearest(&key, known.iter().map(String::as_str), NEAR).map(str::to_owned);
                if path.last() != Some(&key) {
                    path.push(key);
                }
                Problem::UnknownKey { key: path.join("."), nearest, known }
            }
            None => Problem::Value { key: path.join("."), message: message.replace('\n', ", ") },
        };
        Self::Line { file: file.to_owned(), line, column, problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, nearest, known } => {
                write!(f, "unknown key `{}`", printable(key, KEY))?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => write!(f, "; known here: {}", known.join(", ")),
                }
            }
            Self::Value { key, message } if key.is_empty() => f.write_str(&printable(message, MESSAGE)),
            Self::Value { key, message } => write!(f, "{}: {}", printable(key, KEY), printable(message, MESSAGE)),
        }
    }
}

/// Returns the known name most similar to an unknown one; None if its similarity, 0 to 1, is below `like`.
pub(crate) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>, like: f64) -> Option<&'a str> {
    let known = known.map(|candidate| (strsim::jaro_winkler(unknown, candidate), candidate));
    known.filter(|(likeness, _)| *likeness >= like).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// Returns line and column, both from 1, of a byte.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

/// Extracts the unknown key and the known ones from serde's message.
fn unknown(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    let key = quoted.next()?;
    Some((key, quoted.collect()))
}

/// Finds the dotted path of the innermost value, or key, that contains the span.
fn find(table: &DeTable<'_>, span: &Range<usize>, path: &mut Vec<String>) -> bool {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if holds(&key.span(), span) || inside(value.get_ref(), &value.span(), span, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn inside(value: &DeValue<'_>, place: &Range<usize>, span: &Range<usize>, path: &mut Vec<String>) -> bool {
    let deeper = match value {
        DeValue::Table(table) => find(table, span, path),
        DeValue::Array(array) => array.iter().any(|item| inside(item.get_ref(), &item.span(), span, path)),
        _ => false,
    };
    deeper || holds(place, span)
}

const fn holds(place: &Range<usize>, span: &Range<usize>) -> bool {
    place.start <= span.start && span.start < place.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn error(text: &str) -> String {
        Config::parse(Path::new("host.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_key() {
        let text = "[probes.file]\nenabled = true\nfilter = { com = \"x\" }\n";
        assert_eq!(error(text), "host.toml:3:12: unknown key `probes.file.filter.com`; did you mean `comm`?");
        assert_eq!(error("\n[exprot]\n"), "host.toml:2:2: unknown key `exprot`; did you mean `export`?");
    }

    #[test]
    fn a_key_that_is_like_no_other_is_told_with_those_there_are() {
        let error = error("[batch]\nzzzz = 1\n");
        assert_eq!(error, "host.toml:2:1: unknown key `batch.zzzz`; known here: rows, bytes, age");
    }

    #[test]
    fn a_bad_value_is_told_with_its_line_and_its_key() {
        let error = error("[plugins.sampler.limits]\ndeadline = \"50\"\n");
        assert!(error.starts_with("host.toml:2:12: plugins.sampler.limits.deadline: "), "{error}");
        assert!(error.contains("\"50ms\""), "{error}");
    }

    #[test]
    fn a_slot_that_does_not_exist_is_told_with_its_line() {
        let error = error("[plugins.samplr]\n");
        assert!(error.starts_with("host.toml:1:10: plugins.samplr: \"samplr\" is not a slot"), "{error}");
    }

    #[test]
    fn a_key_with_control_characters_does_not_reach_the_terminal() {
        assert!(error("\"\\u001b[2J\" = 1\n").contains("unknown key `\u{fffd}[2J`"), "{}", error("\"\\u001b[2J\" = 1\n"));
        let value = error("[batch]\nage = \"\\u001b[2J\"\n");
        assert!(!value.contains('\u{1b}'), "{value:?}");
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_line() {
        assert!(error("a = 1\nb = \n").starts_with("host.toml:2:"), "{}", error("a = 1\nb = \n"));
    }
}
