//! The start of a daemon: from its settings to paths whose probes fire.

use std::io::Write;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Instant;

use host_api::{Origin, Step, default_socket};
use host_model::{Lock, Probe, Seed};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::clock::unix_ns;
use crate::control::server;
use crate::control::socket::Socket;
use crate::daemon::{Core, Daemon, State};
use crate::ending::drain_of;
use crate::error::DaemonError;
use crate::faults::repro::Store;
use crate::faults::repro::writer::Writer;
use crate::last_resort::LastResort;
use crate::paths::compose::{self, Parts};
use crate::paths::lanes;
use crate::paths::path::Path;
use crate::paths::trunk::Trunk;
use crate::plugins::bind::Binder;
use crate::plugins::compiler::Compiler;
use crate::plugins::fill::slots;
use crate::plugins::known::Known;
use crate::plugins::protocols;
use crate::probes::open::{open_all, reason};
use crate::probes::privilege;
use crate::probes::recorder::Recorder;
use crate::remnant::Remnant;
use crate::report::export::exporter;
use crate::settings::{Input, Settings};
use crate::signals::{NEARLY_READY, Signals};
use crate::state_dir::StateDir;
use crate::tables::Node;
use crate::watchers;

/// Whether a start may attach what it has composed; it can be cancelled until then.
#[derive(Default)]
struct Gate(AtomicU8);

const PASSED: u8 = 1;
const CLOSED: u8 = 2;

/// A trunk and the paths of its protocols.
type Composed = (Trunk, Vec<Arc<Path>>);

/// Default for the bytes captured of each call: a request's line and its first headers.
const CAPTURE: u32 = 256;

// === impl Daemon ===

impl Daemon {
    /// Starts; returns when every probe is attached and every plugin is bound. A probe that this kernel cannot run is listed with the
    /// reason, and the others run, unless it was requested by name.
    ///
    /// # Errors
    /// The step that failed, the problem, and the cure. Nothing is left behind.
    pub async fn start(settings: Settings) -> Result<Self, DaemonError> {
        let resort = LastResort::new(drain_of(&settings.config), settings.last_word.clone());
        // A signal drains from here on.
        let signals = Signals::listen(Arc::clone(&resort));
        let signals = signals.map_err(DaemonError::Signals)?;
        let path = settings.socket.clone().or_else(|| settings.config.socket.clone()).unwrap_or_else(default_socket);
        let socket = Socket::bind(&path)?;
        resort.owns(socket.remnants());
        if let Some(file) = &settings.ready_file {
            // A file left by a killed daemon must not be mistaken for ours.
            let _ = std::fs::remove_file(file);
        }
        let gate = Arc::new(Gate::default());
        let composing = tokio::task::spawn_blocking({
            let (gate, resort) = (Arc::clone(&gate), Arc::clone(&resort));
            move || compose(settings, &Handle::current(), &gate, resort)
        });
        let core = Arc::new(unless_called_off(composing, &signals, &gate).await?);
        resort.watch(&core);
        privilege::settle()?;
        let closed = watch::Sender::new(false);
        let server = tokio::spawn(server::serve(socket, Arc::clone(&core), closed.subscribe()));
        let watchers = watchers::watch(&core, &signals);
        let mut daemon = Self { watchers, core, closed, server, ready: None, _signals: signals };
        if let Some(file) = &daemon.core.settings.ready_file {
            let ready = announce(file)?;
            resort.owns([ready.clone()]);
            daemon.ready = Some(ready);
        }
        Ok(daemon)
    }
}

/// Returns the composed core; if a signal comes before anything is attached and the start is not nearly ready, the refusal.
async fn unless_called_off(
    mut composing: JoinHandle<Result<Core, DaemonError>>,
    signals: &Signals,
    gate: &Gate,
) -> Result<Core, DaemonError> {
    let composed = tokio::select! {
        composed = &mut composing => Some(composed),
        _ = signals.ended() => None,
    };
    let composed = match composed {
        Some(composed) => composed,
        None => match tokio::time::timeout(NEARLY_READY, &mut composing).await {
            Ok(composed) => composed,
            Err(_) if gate.call_off() => {
                let waited = signals.resort().steps().now().join(", ");
                let message = format!("a signal ended the start before anything was attached; it waited for {waited}");
                return Err(DaemonError::CalledOff(message));
            }
            // Everything attached has to be drained.
            Err(_) => composing.await,
        },
    };
    composed?
}

/// Builds all parts in the order in which an event meets them, and attaches last. Blocks.
fn compose(settings: Settings, runtime: &Handle, gate: &Gate, resort: Arc<LastResort>) -> Result<Core, DaemonError> {
    let started = Instant::now();
    let start_unix_ns = unix_ns();
    let live = settings.input == Input::Kernel;
    let settings = Settings { config: settings.config.clone().sized(), ..settings };
    settings.config.check()?;
    if let Some(note) = settings.config.memory_note() {
        tracing::warn!("{note}");
    }
    let steps = resort.steps().clone();
    let waiting = steps.begin("the state folder");
    let state_dir = StateDir::open(&settings)?;
    let compiler = Compiler::start(&settings, &state_dir)?;
    let known = Arc::new(Known::default());
    drop(waiting);
    let waiting = steps.begin("the probes to be loaded");
    let (mut opened, mut idle) = open_all(&settings)?;
    drop(waiting);
    let waiting = steps.begin("the capture and the way out");
    let looping = matches!(settings.input, Input::Embedded { looping: true } | Input::Capture { looping: true, .. });
    // A capture that is replayed once gives the same result each time.
    let seed = if live || looping { Seed::system() } else { Seed::fixed() };
    let parts = Parts {
        repro_writer: Writer::of(&settings, &state_dir, &known)?,
        repros: state_dir.folder().map(Store::open),
        given_up: Arc::default(),
        recorder: settings
            .record
            .as_deref()
            .map(|file| Recorder::begin(file, opened.iter().map(|opened| (&opened.place, &*opened.source))))
            .transpose()?,
        binder: Binder { tables: if live { Arc::new(Node::live()) } else { Arc::new(Node::unknown()) }, known },
        exporter: exporter(&settings, runtime)?.seeded(seed.clone()),
        limits: compose::limits(&settings.config),
        pins: settings.config.protocols.pins(),
        capture_bytes: settings.config.protocols.capture_bytes.unwrap_or(CAPTURE),
        seed,
    };
    drop(waiting);
    parts.exporter.be_patient(!live && !looping);
    let trunk = opened.iter().position(|opened| protocols::is_trunk(&opened.place.layout)).map(|at| opened.remove(at));
    let probes: Vec<&str> = opened.iter().map(|opened| &*opened.place.probe).collect();
    let slots = slots(&compiler, &settings, &probes, trunk.is_some(), &steps)?;
    let waiting = steps.begin("the plugins to be bound");
    let trunk = trunk.map(|trunk| lanes::compose(&parts, &slots, trunk, !live)).transpose()?;
    let paths = opened.into_iter().map(|opened| compose::path(&parts, &slots, opened).map(Arc::new));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    drop(waiting);
    // Every possible error of the configuration has been found by now.
    if !gate.pass() {
        return Err(DaemonError::CalledOff("a signal ended the start before anything was attached".into()));
    }
    let _attaching = steps.begin("the probes to be attached");
    let Live { paths, trunk } = attach(&settings, paths, trunk, &mut idle)?;
    tracing::debug!(ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), "everything is bound and attached");
    let origin = if live { Origin::Live } else { Origin::Replay };
    Ok(Core {
        settings,
        origin,
        started,
        start_unix_ns,
        compiler,
        parts: Arc::new(parts),
        state: Lock::new(State { slots, paths, trunk, idle, ..State::default() }),
        changes: tokio::sync::Mutex::default(),
        ending: watch::Sender::new(None),
        report: OnceCell::new(),
        orders: Arc::new(Semaphore::new(server::MAX_CHANGES)),
        resort,
    })
}

/// The attached paths and probes.
struct Live {
    paths: Vec<Arc<Path>>,
    /// With the router, if there is one.
    trunk: Option<Arc<Trunk>>,
}

/// Attaches every probe; records arrive from here on. The paths of protocols come after all others.
fn attach(
    settings: &Settings,
    paths: Vec<Arc<Path>>,
    trunk: Option<Composed>,
    idle: &mut Vec<Probe>,
) -> Result<Live, DaemonError> {
    let must = |name: &str| {
        let enabled = settings.config.probes.get(name).and_then(|probe| probe.enabled);
        settings.probes.iter().any(|probe| probe == name) || enabled == Some(true)
    };
    let mut attached = Vec::new();
    for path in paths {
        match path.attach() {
            Ok(()) => attached.push(path),
            Err(error) if must(path.name()) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(probe = path.name(), "{error}");
                idle.extend(path.probe());
                path.stop();
            }
        }
    }
    let mut live = None;
    if let Some((trunk, lanes)) = trunk {
        match trunk.attach() {
            Ok(()) => {
                attached.extend(lanes);
                live = Some(Arc::new(trunk));
            }
            Err(error) if must(trunk.name()) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(probe = trunk.name(), "{error}");
                idle.push(trunk.probe());
                trunk.stop();
                lanes.iter().for_each(|lane| lane.stop());
            }
        }
    }
    match attached.is_empty() && live.is_none() {
        false => Ok(Live { paths: attached, trunk: live }),
        true => {
            let reasons: Vec<String> = idle.iter().filter_map(|probe| reason(&probe.state)).collect();
            Err(DaemonError::NoProbe(reasons.join("; ")))
        }
    }
}

/// Writes the ready file atomically: a process that waits for it may read it at once. A link at its path is not followed.
fn announce(file: &FilePath) -> Result<Remnant, DaemonError> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = FilePath::new(&temporary);
    let announced = || {
        let _ = std::fs::remove_file(temporary);
        let mut written = std::fs::File::options().write(true).create_new(true).open(temporary)?;
        writeln!(written, "{}", std::process::id())?;
        std::fs::rename(temporary, file)?;
        Remnant::open(file, &written)
    };
    announced().map_err(|error: std::io::Error| {
        DaemonError::new(Step::Start, format!("ready file {}: {error}", file.display()), "name a file that can be written")
    })
}

// === impl Gate ===

impl Gate {
    /// Passes, unless the start was cancelled.
    fn pass(&self) -> bool {
        self.0.compare_exchange(0, PASSED, Relaxed, Relaxed).is_ok()
    }

    /// Cancels the start, unless it has passed.
    fn call_off(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::announce;

    #[test]
    fn a_link_in_the_place_of_the_ready_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [ready, temporary, precious] = ["ready", "ready.new", "precious"].map(|name| folder.path().join(name));
        fs::write(&precious, "keep").unwrap();
        for link in [&ready, &temporary] {
            symlink(&precious, link).unwrap();
        }
        let written = announce(&ready).unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "keep");
        assert!(fs::symlink_metadata(&ready).unwrap().is_file(), "it is a file of its own");
        drop(written);
    }
}
