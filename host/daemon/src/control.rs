//! The control socket: HTTP and JSON over a Unix socket.

pub(crate) mod server;
mod crowd;
pub(crate) mod socket;
