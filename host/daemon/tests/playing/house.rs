//! A daemon in a folder of its own.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host_daemon::config::OutputName;
use host_daemon::control::client::Client;
use host_daemon::settings::View;
use host_daemon::{Daemon, Input, Settings, Status};

/// The folder: socket and ready file.
pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
}

/// What went to an output.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl House {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn settings(&self, input: Input) -> Settings {
        Settings {
            input,
            output: Some(OutputName::None),
            socket: Some(self.folder.path().join("socket")),
            ready_file: Some(self.ready_file()),
            ..Settings::default()
        }
    }

    pub(crate) fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.folder.path().join("socket"))
    }

    pub(crate) fn is_empty(&self) -> bool {
        std::fs::read_dir(self.folder.path()).unwrap().next().is_none()
    }

    /// The first status that satisfies `condition`.
    pub(crate) async fn until(&self, daemon: &Daemon, condition: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        loop {
            let status = daemon.status().await;
            if condition(&status) {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "in vain: {status:#?}");
            tokio::task::yield_now().await;
        }
    }
}

impl Lines {
    pub(crate) fn view(&self) -> View {
        let lines = self.clone();
        View::new(move || Box::new(lines.clone()))
    }

    pub(crate) fn all(&self) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().unwrap();
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
