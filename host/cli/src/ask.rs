//! Requests to the running host, and the failures when it refuses or does not answer.

use std::path::PathBuf;

use host_api::{Client, ClientError, Endpoint, Refusal, default_socket};
use host_daemon::DaemonError;
use serde_json::value::RawValue;

use crate::args::SocketArgs;
use crate::exit::{Code, Done, Failure};
use crate::output;

/// Returns the path of the socket to use.
pub(crate) fn socket(args: SocketArgs) -> PathBuf {
    args.socket.unwrap_or_else(default_socket)
}

/// Returns a client of the host at that socket.
pub(crate) fn client(args: SocketArgs) -> Client {
    Client::new(socket(args))
}

/// Returns the answer, or the failure with its cure.
pub(crate) async fn answer<T>(answer: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
    answer.await.map_err(Failure::from)
}

/// Prints the answer unchanged.
pub(crate) async fn pass_through(client: &Client, ask: &impl Endpoint) -> Done {
    let answer: Box<RawValue> = answer(client.call_as(ask)).await?;
    output::print(&format!("{}\n", answer.get()))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match error {
            ClientError::Refused(refusal) => return Self::of(&refusal, Code::Refused),
            ClientError::NoDaemon { .. } => Code::Unreachable,
            ClientError::Timeout { .. } | ClientError::Garbled { .. } => Code::Failed,
        };
        Self::new(code, error.to_string()).cured_by(error.cure())
    }
}

/// Converts a refusal of this process's own work, such as a start.
impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        let refusal = Refusal::from(error);
        Self::of(&refusal, Code::of(&refusal.step))
    }
}

impl Failure {
    /// Names the step, unless the message already does.
    fn of(refusal: &Refusal, code: Code) -> Self {
        let Refusal { step, message, cure } = refusal;
        let said = message.starts_with(step.name()) || message.contains(&format!("{step} failed"));
        let message = if said { message.clone() } else { format!("{step}: {message}") };
        Self::new(code, message).cured_by(cure)
    }
}
