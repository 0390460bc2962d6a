//! Settings of one run beside the configuration: those of the command line.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use host_api::FinalReport;
use host_export::capture::Pace;

use crate::config::{Config, FilterConfig, OutputName};

/// Settings of one run. They override the configuration.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The configuration; the default is complete.
    pub config: Config,
    /// Probes requested by name: only these run, and it is an error if one cannot. Empty: those of the configuration.
    pub probes: Vec<String>,
    /// The filter of every probe; overrides the configuration's filters, condition by condition.
    pub filter: FilterConfig,
    /// The source of records.
    pub input: Input,
    /// The pace of a capture that is replayed once.
    pub pace: Pace,
    /// The duration of the run.
    pub duration: Option<Duration>,
    /// The form in which rows are shown, if at all.
    pub output: Option<OutputName>,
    /// The destination of the lines of `output`, in place of stdout.
    pub view: Option<View>,
    /// URL of the collector.
    pub otlp_endpoint: Option<String>,
    /// The control socket.
    pub socket: Option<PathBuf>,
    /// The folder for compiled code and repros.
    pub state_dir: Option<PathBuf>,
    /// A file that is created when every probe is attached and every plugin is bound, and removed at the end.
    pub ready_file: Option<PathBuf>,
    /// A capture file to which every record is also written.
    pub record: Option<PathBuf>,
    /// Prints the last words before the daemon ends the process because stopping hangs. None: it never ends the process, which belongs to a
    /// program with other tasks.
    pub last_word: Option<LastWord>,
    /// Whether the binary of this process acts as the compiler when started as one (`host_plugin::apart`): components that did not come
    /// with the host are then compiled in a process of their own.
    pub compiles_apart: bool,
}

/// Opens the destination of lines.
#[derive(Clone)]
pub struct View(Arc<dyn Fn() -> Box<dyn Write + Send> + Send + Sync>);

/// Prints the last known report at a forced end.
#[derive(Clone)]
pub struct LastWord(Arc<Say>);

/// Prints a report, or that there is none.
type Say = dyn Fn(Option<&FinalReport>) + Send + Sync;

/// The source of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Input {
    /// The running kernel.
    #[default]
    Kernel,
    /// The capture in the binary, at its original pace.
    Embedded {
        /// Whether it is replayed until the end of the run; otherwise once.
        looping: bool,
    },
    /// A capture file.
    Capture {
        /// The file.
        file: PathBuf,
        /// Whether it is replayed until the end of the run; otherwise once.
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
    /// `say` restores the terminal, and prints the report if there is one.
    #[must_use]
    pub fn new(say: impl Fn(Option<&FinalReport>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    pub(crate) fn say(&self, report: &FinalReport) {
        (self.0)(Some(report));
    }

    /// Restores the terminal and prints nothing.
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
