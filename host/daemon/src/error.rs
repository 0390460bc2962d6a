//! Reasons why a start, or a request to a running daemon, was refused: the step, the problem and the cure.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use host_api::{Refusal, Step};
use host_export::capture::CaptureError;
use host_export::{ExportError, SettingsError};
use host_kernel::KernelError;
use host_kernel::file::FileError;
use host_pipeline::{ShadowError, StartError, SwitchError};
use host_plugin::{EngineError, PluginError};
use host_router::RouteError;
use tokio::task::JoinError;

use crate::config::ConfigError;
use crate::control::socket::SocketError;
use crate::state_dir::unusable::Unusable;

/// A failed operation. Nothing is left behind, and everything that ran before still runs.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The control socket cannot be created.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The state folder that the settings name is unusable.
    #[error("state_dir {}: {error}", folder.display())]
    StateDir {
        /// The folder, or one in it.
        folder: PathBuf,
        /// The problem with it.
        error: Unusable,
    },
    /// The exporter's settings are invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The exporter does not start.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The engine that runs plugins does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The signal handler cannot be installed.
    #[error("signals: {0}")]
    Signals(io::Error),
    /// A signal came before anything was attached. Holds what the start was doing.
    #[error("{0}")]
    CalledOff(String),
    /// A component was refused before it was bound to a path.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A plugin does not fit a path.
    #[error("plugin {}: {} failed on path {path}: {}", error.plugin, error.step, error.problem)]
    Bind {
        /// The path.
        path: Arc<str>,
        /// The reason.
        error: PluginError,
    },
    /// A path cannot start.
    #[error(transparent)]
    Path(#[from] StartError),
    /// A path cannot change its plugins.
    #[error(transparent)]
    Switch(SwitchError),
    /// A path cannot take a candidate.
    #[error(transparent)]
    Shadow(ShadowError),
    /// The router refused.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// No probe runs. Holds the reason of each.
    #[error("{0}")]
    NoProbe(String),
    /// The object of a probe cannot be read.
    #[error("{}: {error}", file.display())]
    Object {
        /// The file.
        file: PathBuf,
        /// The reason.
        error: FileError,
    },
    /// A capture to replay is unusable.
    #[error("{capture}: {error}")]
    Replay {
        /// The name of the capture.
        capture: String,
        /// The problem with it.
        error: CaptureError,
    },
    /// A capture to record cannot be created.
    #[error("{}: {error}", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// The reason.
        error: CaptureError,
    },
    /// A recorded capture is incomplete.
    #[error(transparent)]
    Recorded(CaptureError),
    /// The host is about to end.
    #[error("the host is about to end")]
    Ending,
    /// A task panicked or was cancelled, which must never happen.
    #[error(transparent)]
    Task(#[from] JoinError),
    /// A reason that occurs in one place only.
    #[error("{message}")]
    Other {
        /// The step that failed.
        step: Step,
        /// The problem.
        message: String,
        /// The cure; empty if there is none.
        cure: String,
    },
}

// === impl DaemonError ===

impl DaemonError {
    pub(crate) fn new(step: Step, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Other { step, message: message.into(), cure: cure.into() }
    }

    /// Returns the step that failed.
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Self::Config(_) | Self::StateDir { .. } => Step::Configure,
            Self::Socket(_) => Step::Socket,
            Self::Settings(_) | Self::Export(_) => Step::Export,
            Self::Engine(_) | Self::Signals(_) | Self::Path(_) => Step::Start,
            Self::CalledOff(_) => Step::Signal,
            Self::Plugin(error) | Self::Bind { error, .. } => of_plugin(error.step),
            Self::Switch(_) => Step::Switch,
            Self::Shadow(_) => Step::Shadow,
            Self::Route(_) => Step::Route,
            Self::Kernel(KernelError::Permission { .. }) => Step::Privilege,
            Self::Kernel(_) | Self::NoProbe(_) => Step::Probe,
            Self::Object { .. } => Step::Read,
            Self::Replay { .. } => Step::Replay,
            Self::Record { .. } | Self::Recorded(_) => Step::Record,
            Self::Ending => Step::Stop,
            Self::Task(_) => Step::Internal,
            Self::Other { step, .. } => step.clone(),
        }
    }

    /// Returns the cure; empty if there is none.
    #[must_use]
    pub fn cure(&self) -> String {
        match self {
            Self::Config(error) => error.cure(),
            Self::Socket(error) => error.cure(),
            Self::StateDir { error, .. } => error.cure(),
            Self::Settings(error) => error.cure.into(),
            Self::Plugin(error) | Self::Bind { error, .. } => error.cure.clone(),
            Self::Object { error, .. } => error.cure().into(),
            Self::Other { cure, .. } => cure.clone(),
            Self::Export(_) => "correct the endpoint or its certificates".into(),
            Self::Path(_) => "see the limits on threads of this process".into(),
            Self::Switch(_) => "the plugin before is live again; see the log".into(),
            Self::Shadow(_) => "the live plugin is not touched; see the log".into(),
            Self::Route(_) => "`host status` shows the probe and its protocols".into(),
            // The text of the kernel's refusal ends in the cure.
            Self::Kernel(KernelError::Permission { .. }) => "`host doctor --caps` prints what it takes".into(),
            Self::Kernel(_) => "`host doctor` tells what this machine lacks; --probe NAME runs the others alone".into(),
            Self::NoProbe(_) => "`host doctor` tells what this machine lacks".into(),
            Self::Replay { .. } => "give a file that `host record` wrote".into(),
            Self::Record { .. } => "name a file that can be written".into(),
            Self::Recorded(_) => "what was written before it can be replayed".into(),
            Self::Ending => "ask the next one".into(),
            Self::Task(_) => "this is a fault of the host; see its log".into(),
            Self::Engine(_) | Self::Signals(_) | Self::CalledOff(_) => String::new(),
        }
    }
}

impl From<DaemonError> for Refusal {
    fn from(error: DaemonError) -> Self {
        Self::new(error.step(), error.to_string(), error.cure())
    }
}

const fn of_plugin(step: host_plugin::Step) -> Step {
    match step {
        host_plugin::Step::Read => Step::Read,
        host_plugin::Step::Inspect => Step::Inspect,
        host_plugin::Step::Grant => Step::Grant,
        host_plugin::Step::Compile => Step::Compile,
        host_plugin::Step::Instantiate => Step::Instantiate,
        host_plugin::Step::Expects => Step::Expects,
        host_plugin::Step::Bind => Step::Bind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_plugin_is_told_by_the_name_that_the_plugin_error_has() {
        use host_plugin::Step as OfPlugin;
        for step in [
            OfPlugin::Read,
            OfPlugin::Inspect,
            OfPlugin::Grant,
            OfPlugin::Compile,
            OfPlugin::Instantiate,
            OfPlugin::Expects,
            OfPlugin::Bind,
        ] {
            assert_eq!(of_plugin(step).name(), step.to_string());
        }
    }

    #[test]
    fn a_refusal_has_the_step_what_is_wrong_and_the_cure() {
        let error =
            DaemonError::Bind { path: "tcp".into(), error: PluginError::new("x@1", host_plugin::Step::Bind, "no", "try y") };
        let Refusal { step, message, cure } = Refusal::from(error);
        assert_eq!(step, Step::Bind);
        assert_eq!((message.as_str(), cure.as_str()), ("plugin x@1: bind failed on path tcp: no", "try y"));
    }
}
