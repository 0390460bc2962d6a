//! What one run of the daemon is told beside its configuration: the command line.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use host_api::FinalReport;
use host_export::capture::Pace;

use crate::config::{Config, FilterConfig, OutputName};

/// One run of the daemon. What is set here goes before the configuration.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The configuration; the default one is complete.
    pub config: Config,
    /// Probes that were asked for by name: only these run, and it is an error if one cannot. Empty: those of the configuration.
    pub probes: Vec<String>,
    /// Whose events every probe lets through; goes before the filters of the configuration, condition by condition.
    pub filter: FilterConfig,
    /// Where records come from.
    pub input: Input,
    /// How fast a capture is read that is read once.
    pub pace: Pace,
    /// How long to run.
    pub duration: Option<Duration>,
    /// Where rows are shown.
    pub output: Option<OutputName>,
    /// Where the lines of `output` go instead of stdout.
    pub view: Option<View>,
    /// URL of the collector.
    pub otlp_endpoint: Option<String>,
    /// The control socket.
    pub socket: Option<PathBuf>,
    /// Where compiled code and repros are kept.
    pub state_dir: Option<PathBuf>,
    /// Written when every probe is attached and every plugin is bound, removed at the end.
    pub ready_file: Option<PathBuf>,
    /// A capture file that every record is also written to.
    pub record: Option<PathBuf>,
    /// Says the last word where stopping hangs, before the daemon ends the process. None: it never ends the process for taking too
    /// long, because that belongs to a program that does other things as well.
    pub last_word: Option<LastWord>,
    /// The binary of this process compiles if it is started for that (`host_plugin::apart`): components of others are compiled so.
    pub compiles_apart: bool,
}

/// Opens the place that lines go to.
#[derive(Clone)]
pub struct View(Arc<dyn Fn() -> Box<dyn Write + Send> + Send + Sync>);

/// Says what is known at a forced end.
#[derive(Clone)]
pub struct LastWord(Arc<Say>);

/// Says a report, or that there is none.
type Say = dyn Fn(Option<&FinalReport>) + Send + Sync;

/// Where records come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Input {
    /// From this kernel.
    #[default]
    Kernel,
    /// From the capture in the binary, at the pace it was taken.
    Embedded {
        /// Again and again until the end of the run; else once.
        looping: bool,
    },
    /// From a capture file.
    Capture {
        /// The file.
        file: PathBuf,
        /// Again and again until the end of the run; else once.
        looping: bool,
    },
}

// === impl View ===

impl View {
    /// A view that `open` opens, once per start of a daemon.
    #[must_use]
    pub fn new(open: impl Fn() -> Box<dyn Write + Send> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    pub(crate) fn open(&self) -> Box<dyn Write + Send> {
        (self.0)()
    }
}

// === impl LastWord ===

impl LastWord {
    /// A word that `say` says: it gives back the terminal, and tells the report if there is one.
    #[must_use]
    pub fn new(say: impl Fn(Option<&FinalReport>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    pub(crate) fn say(&self, report: &FinalReport) {
        (self.0)(Some(report));
    }

    /// Gives back the terminal without a word.
    pub(crate) fn give_back(&self) {
        (self.0)(None);
    }
}

impl fmt::Debug for LastWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastWord")
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("View")
    }
}
