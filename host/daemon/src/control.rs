//! The control socket: HTTP and JSON over a Unix socket.

pub mod client;
pub mod message;
pub(crate) mod server;
pub(crate) mod socket;

use std::path::PathBuf;

/// The socket that is used where none is named: `$HOST_SOCKET`; else for root `/run/host.sock`; else `host.sock` in
/// `$XDG_RUNTIME_DIR`, or where there is none `host-UID.sock` in the folder for temporary files.
#[must_use]
pub fn default_socket() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(socket) = named("HOST_SOCKET") {
        return socket.into();
    }
    let user = rustix::process::geteuid();
    match named("XDG_RUNTIME_DIR") {
        _ if user.is_root() => "/run/host.sock".into(),
        Some(folder) => PathBuf::from(folder).join("host.sock"),
        None => std::env::temp_dir().join(format!("host-{user}.sock")),
    }
}
