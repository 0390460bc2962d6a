//! The default path of the control socket.

use std::path::{Path, PathBuf};

/// The folder that the service's systemd unit creates while it runs.
const SERVICE: &str = "/run/host";

/// Returns the default socket: `$HOST_SOCKET`; else for root that of the service, `/run/host/host.sock`, if its folder exists, and
/// `/run/host.sock` if not; else `host.sock` in `$XDG_RUNTIME_DIR`, or if that is unset `host-UID.sock` in the folder for temporary files.
#[must_use]
pub fn default_socket() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(socket) = named("HOST_SOCKET") {
        return socket.into();
    }
    let user = rustix::process::geteuid();
    match named("XDG_RUNTIME_DIR") {
        _ if user.is_root() => of_root(Path::new(SERVICE)),
        Some(folder) => PathBuf::from(folder).join("host.sock"),
        None => std::env::temp_dir().join(format!("host-{user}.sock")),
    }
}

fn of_root(service: &Path) -> PathBuf {
    if service.is_dir() { service.join("host.sock") } else { service.with_extension("sock") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_speaks_to_the_service_where_there_is_one() {
        let run = tempfile::tempdir().unwrap();
        let service = run.path().join("host");
        assert_eq!(of_root(&service), run.path().join("host.sock"));
        std::fs::create_dir(&service).unwrap();
        assert_eq!(of_root(&service), service.join("host.sock"));
    }
}
