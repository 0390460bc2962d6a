//! A daemon in a folder of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host_api::{Client, ClientError, LoadPlugin, Refusal, Status};
use host_daemon::config::{Config, OutputName};
use host_daemon::settings::View;
use host_daemon::{Daemon, Input, Settings};

/// The folder with socket and ready file; and a second one for state that outlives a daemon.
pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) state: tempfile::TempDir,
}

/// The bytes written to an output.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl House {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn settings(&self, input: Input) -> Settings {
        Settings {
            input,
            output: Some(OutputName::None),
            socket: Some(self.folder.path().join("socket")),
            ready_file: Some(self.ready_file()),
            state_dir: Some(self.state.path().to_owned()),
            ..Settings::default()
        }
    }

    /// Starts a daemon with this configuration that plays the embedded capture again and again.
    pub(crate) async fn playing(&self, config: &str) -> Daemon {
        let mut settings = self.settings(Input::Embedded { looping: true });
        settings.config = Config::parse(Path::new("host.toml"), config).unwrap();
        Daemon::start(settings).await.unwrap()
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

    /// Returns the first status that satisfies `condition`.
    pub(crate) async fn until(&self, daemon: &Daemon, condition: impl Fn(&Status) -> bool) -> Status {
        eventually(async || daemon.status().await, condition).await
    }
}

/// Returns the first answer that satisfies `condition`.
pub(crate) async fn eventually<T: std::fmt::Debug>(ask: impl AsyncFn() -> T, condition: impl Fn(&T) -> bool) -> T {
    let start = Instant::now();
    loop {
        let answer = ask().await;
        if condition(&answer) {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "in vain: {answer:#?}");
        tokio::task::yield_now().await;
    }
}

/// Returns the daemon's refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> Result<T, Refusal> {
    answer.map_err(|error| match error {
        ClientError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    })
}

/// Returns a request to load a component of the binary, or a file.
pub(crate) fn order(component: &str, slot: Option<&str>, config: Option<&str>) -> LoadPlugin {
    LoadPlugin {
        path: Some(component.into()),
        slot: slot.map(|slot| slot.parse().unwrap()),
        config: config.map(|config| serde_json::from_str(config).unwrap()),
        ..LoadPlugin::default()
    }
}

impl Lines {
    pub(crate) fn view(&self) -> View {
        let lines = self.clone();
        View::new(move || Box::new(lines.clone()))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
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
