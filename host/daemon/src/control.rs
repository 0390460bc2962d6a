//! The control socket: HTTP and JSON over a Unix socket.

pub mod client;
pub mod message;
pub(crate) mod server;
pub(crate) mod socket;

use std::path::PathBuf;

/// The socket that is used where none is named: `$HOST_SOCKET`, else `host.sock` in `$XDG_RUNTIME_DIR`, else (as for root)
/// `/run/host.sock`.
#[must_use]
pub fn default_socket() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(socket) = named("HOST_SOCKET") {
        return socket.into();
    }
    match named("XDG_RUNTIME_DIR") {
        Some(folder) if !rustix::process::geteuid().is_root() => PathBuf::from(folder).join("host.sock"),
        _ => "/run/host.sock".into(),
    }
}
