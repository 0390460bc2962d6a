//! What any part of the daemon may fail with.

use host_api::{Refusal, Step};
use host_plugin::PluginError;

/// What cannot be done because a task ended in a way that it never should.
pub(crate) fn lost(error: &tokio::task::JoinError) -> Refusal {
    Refusal::new(Step::Internal, error.to_string(), "this is a fault of the host; see its log")
}

/// What a plugin was refused for.
pub(crate) fn refused(error: PluginError) -> Refusal {
    Refusal::new(Step::from(error.step.to_string().as_str()), error.to_string(), error.cure)
}
