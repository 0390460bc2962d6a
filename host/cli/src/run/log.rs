//! The host's own log: to standard error, or into the live table.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::feed::Feed;
use crate::args::LogFormat;
use crate::exit::{Code, Failure};
use crate::style;

/// The destination of log lines.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Standard error.
    Stderr,
    /// The lines below the live table.
    Feed(Feed),
}

/// Starts the log on standard error.
pub(crate) fn to_stderr(filter: Option<&str>, format: LogFormat) -> Result<(), Failure> {
    start(filter, format, Place::Stderr)
}

/// Starts the log. `RUST_LOG` overrides `filter`.
pub(super) fn start(filter: Option<&str>, format: LogFormat, place: Place) -> Result<(), Failure> {
    let variable = std::env::var("RUST_LOG").ok().filter(|words| !words.is_empty());
    let filter = self::filter(variable.as_deref().or(filter))?;
    let coloured = matches!(place, Place::Stderr) && style::coloured(&io::stderr());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(coloured).with_writer(place);
    // Cannot fail: no other part of this process sets up a log.
    let _ = match format {
        LogFormat::Text => subscriber.with_target(false).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Returns the filter of log lines.
pub(crate) fn filter(words: Option<&str>) -> Result<EnvFilter, Failure> {
    let words = words.unwrap_or("info");
    EnvFilter::try_new(words).map_err(|error| {
        Failure::new(Code::Usage, format!("the log filter {words:?} cannot be read: {error}"))
            .cured_by("write it as info, or as warn,host_plugin=debug")
    })
}

// === impl Place ===

impl<'a> MakeWriter<'a> for Place {
    type Writer = Box<dyn Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        match self {
            Self::Stderr => Box::new(io::stderr().lock()),
            Self::Feed(feed) => Box::new(feed.clone()),
        }
    }
}
