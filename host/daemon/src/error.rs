//! Why a start of the daemon, or what was asked of one that runs, was refused: at which step, what is wrong, and the cure.

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

/// Why something was not done. Nothing is left behind, and what ran before still runs.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There can be no control socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The state folder that was named.
    #[error("state_dir {}: {error}", folder.display())]
    StateDir {
        /// The folder, or one in it.
        folder: PathBuf,
        /// What is wrong with it.
        error: Unusable,
    },
    /// The settings of the way out.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The way out.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// What runs plugins.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Signals are not heard.
    #[error("signals: {0}")]
    Signals(io::Error),
    /// A signal came before anything was attached. With what the start was about.
    #[error("{0}")]
    CalledOff(String),
    /// A component, before it was bound to a path.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A plugin that does not go with a path.
    #[error("plugin {}: {} failed on path {path}: {}", error.plugin, error.step, error.problem)]
    Bind {
        /// The path.
        path: Arc<str>,
        /// Why.
        error: PluginError,
    },
    /// A path does not start.
    #[error(transparent)]
    Path(#[from] StartError),
    /// A path does not change its plugins.
    #[error(transparent)]
    Switch(SwitchError),
    /// A path does not take a candidate.
    #[error(transparent)]
    Shadow(ShadowError),
    /// The router.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// No probe runs. With the reason of each.
    #[error("{0}")]
    NoProbe(String),
    /// The object of a probe.
    #[error("{}: {error}", file.display())]
    Object {
        /// The file.
        file: PathBuf,
        /// Why it is not read.
        error: FileError,
    },
    /// A capture that is to be played.
    #[error("{capture}: {error}")]
    Replay {
        /// What it is called.
        capture: String,
        /// What is wrong with it.
        error: CaptureError,
    },
    /// A capture that is to be written.
    #[error("{}: {error}", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// Why it is not begun.
        error: CaptureError,
    },
    /// A capture that was begun is not whole.
    #[error(transparent)]
    Recorded(CaptureError),
    /// The host is about to end.
    #[error("the host is about to end")]
    Ending,
    /// A task ended in a way that it never should.
    #[error(transparent)]
    Task(#[from] JoinError),
    /// What is said in one place only.
    #[error("{message}")]
    Other {
        /// The step that failed.
        step: Step,
        /// What is wrong.
        message: String,
        /// What to do about it; empty if there is nothing to do.
        cure: String,
    },
}

// === impl DaemonError ===

impl DaemonError {
    pub(crate) fn new(step: Step, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Other { step, message: message.into(), cure: cure.into() }
    }

    /// The step that failed.
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

    /// What to do about it; empty if there is nothing to do.
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
