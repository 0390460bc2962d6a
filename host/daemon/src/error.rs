//! What any part of the daemon may fail with.

use host_api::Refusal;
use host_plugin::PluginError;

/// The step of a [`Refusal`] when a signal came before anything was attached: nothing has been read, and nothing is lost.
pub const CALLED_OFF: &str = "signal";

/// What cannot be done because a task ended in a way that it never should.
pub(crate) fn lost(error: &tokio::task::JoinError) -> Refusal {
    Refusal::new("internal", error.to_string(), "this is a fault of the host; see its log")
}

/// What a plugin was refused for.
pub(crate) fn refused(error: PluginError) -> Refusal {
    Refusal::new(&error.step.to_string(), error.to_string(), error.cure)
}
