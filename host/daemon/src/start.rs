//! The start of a daemon: from its settings to paths whose probes fire.

use std::io::{IsTerminal, Write};
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host_export::{ConsoleStyle, Explicit, ExportSettings, Exporter, Output};
use host_model::{ProbeState, Seed};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::bind::Binder;
use crate::compiler::Compiler;
use crate::config::{CompressionName, OutputName, ProtocolName};
use crate::control::default_socket;
use crate::control::message::Refusal;
use crate::control::server;
use crate::control::socket::{Socket, SocketError};
use crate::daemon::{Core, Daemon, State, lost, unix_ms, unix_ns};
use crate::ending::drain_of;
use crate::kept::Kept;
use crate::lanes;
use crate::last_resort::{LastResort, Steps};
use crate::loading::{self, Choice, Order};
use crate::path::Path;
use crate::privilege;
use crate::protocols;
use crate::record::Recorder;
use crate::remnant::Remnant;
use crate::replay;
use crate::repro::Shelf;
use crate::repro::keeper::Known;
use crate::settings::{Input, Settings, View};
use crate::signals::{NEARLY_READY, Signals};
use crate::slot::Slot;
use crate::slots::{Generation, KEPT, Slots};
use crate::status::{Cause, Origin};
use crate::tables::Node;
use crate::tidy::Memory;
use crate::trunk::Trunk;
use crate::wanted::{self, Wanted};
use crate::wiring::{self, Opened, Parts};

/// The step of a [`Refusal`] when a signal came before anything was attached: nothing has been read, and nothing is lost.
pub const CALLED_OFF: &str = "signal";

/// Whether a start may attach what it has composed: it can be called off until then.
#[derive(Default)]
struct Gate(AtomicU8);

const PASSED: u8 = 1;
const CLOSED: u8 = 2;

/// A trunk and the paths of its protocols.
type Composed = (Trunk, Vec<Arc<Path>>);

/// Bytes of each call that are captured where a protocol does not say: a request's line and its first headers.
const CAPTURE: u32 = 256;
/// How often a replay is looked at whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How often the host's own metrics go out.
const TELL: Duration = Duration::from_secs(10);

// === impl Daemon ===

impl Daemon {
    /// Starts; returns when every probe is attached and every plugin is bound. A probe that this kernel cannot run is listed
    /// with the reason and the others run, unless it was asked for by name.
    ///
    /// # Errors
    /// The step that failed, what is wrong, and the cure. Nothing is left behind.
    pub async fn start(settings: Settings) -> Result<Self, Refusal> {
        let resort = LastResort::new(drain_of(&settings.config), settings.last_word.clone());
        // From here on a signal drains.
        let signals = Signals::listen(Arc::clone(&resort));
        let signals = signals.map_err(|error| Refusal::new("start", format!("signals: {error}"), ""))?;
        let path = settings.socket.clone().or_else(|| settings.config.socket.clone()).unwrap_or_else(default_socket);
        let socket = Socket::bind(&path)?;
        resort.owns(socket.remnants());
        if let Some(file) = &settings.ready_file {
            // One that was left behind by a daemon that was killed must not be taken for ours.
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
        let watchers = watch(&core, &signals);
        let mut daemon = Self { watchers, core, closed, server, ready: None, _signals: signals };
        if let Some(file) = &daemon.core.settings.ready_file {
            let ready = announce(file)?;
            resort.owns([ready.clone()]);
            daemon.ready = Some(ready);
        }
        Ok(daemon)
    }
}

/// What is composed; or, when a signal comes before anything is attached, the refusal of a start that takes long.
async fn unless_called_off(
    mut composing: JoinHandle<Result<Core, Refusal>>,
    signals: &Signals,
    gate: &Gate,
) -> Result<Core, Refusal> {
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
                return Err(Refusal::new(CALLED_OFF, message, ""));
            }
            // What is attached already is to be drained.
            Err(_) => composing.await,
        },
    };
    composed.map_err(|error| lost(&error))?
}

/// Builds everything in the order in which an event meets it, and attaches last. Blocks.
fn compose(settings: Settings, runtime: &Handle, gate: &Gate, resort: Arc<LastResort>) -> Result<Core, Refusal> {
    let started = Instant::now();
    let start_unix_ns = unix_ns();
    let live = settings.input == Input::Kernel;
    let settings = Settings { config: settings.config.clone().sized(), ..settings };
    settings.config.check().map_err(|error| Refusal::new("configure", error.to_string(), error.cure()))?;
    if let Some(note) = settings.config.memory_note() {
        tracing::warn!("{note}");
    }
    let steps = resort.steps().clone();
    let waiting = steps.begin("the state folder");
    let kept = Kept::open(&settings)?;
    let compiler = Compiler::start(&settings, &kept)?;
    let known = Arc::new(Known::default());
    drop(waiting);
    let waiting = steps.begin("the probes to be loaded");
    let (mut opened, mut idle) = open(&settings)?;
    drop(waiting);
    let waiting = steps.begin("the capture and the way out");
    let looping = matches!(settings.input, Input::Embedded { looping: true } | Input::Capture { looping: true, .. });
    // A capture that is read once says the same each time.
    let seed = if live || looping { Seed::system() } else { Seed::fixed() };
    let parts = Parts {
        keeper: kept.keeper(&settings, &known)?,
        shelf: kept.folder().map(Shelf::open),
        given_up: Arc::default(),
        recorder: settings
            .record
            .as_deref()
            .map(|file| Recorder::begin(file, opened.iter().map(|opened| (&opened.place, &*opened.source))))
            .transpose()?,
        binder: Binder { tables: if live { Arc::new(Node::live()) } else { Arc::new(Node::unknown()) }, known },
        exporter: exporter(&settings, runtime)?.seeded(seed.clone()),
        limits: wiring::limits(&settings.config),
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
    let paths = opened.into_iter().map(|opened| wiring::path(&parts, &slots, opened).map(Arc::new));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    drop(waiting);
    // Everything that could be wrong has been found by now.
    if !gate.pass() {
        return Err(Refusal::new(CALLED_OFF, "a signal ended the start before anything was attached", ""));
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
        state: Mutex::new(State { slots, paths, trunk, idle, ..State::default() }),
        changes: tokio::sync::Mutex::default(),
        ending: watch::Sender::new(None),
        report: OnceCell::new(),
        orders: Arc::new(Semaphore::new(server::MAX_CHANGES)),
        resort,
    })
}

/// Loads the probes, or opens the capture. Those that do not run and were not asked for by name are only listed.
pub(crate) fn open(settings: &Settings) -> Result<(Vec<Opened>, Vec<host_model::Probe>), Refusal> {
    if settings.input != Input::Kernel {
        return Ok((replay::open(settings)?, Vec::new()));
    }
    let wanted = wanted::wanted(settings)?;
    let mut idle = wanted::detached(&wanted);
    let mut opened = Vec::new();
    for wanted in &wanted {
        match wiring::open(wanted) {
            Ok(one) => opened.push(one),
            Err(refusal) if wanted.must => return Err(refusal),
            Err(refusal) => {
                tracing::warn!(probe = wanted.name, "{refusal}");
                idle.push(failed(wanted, &refusal));
            }
        }
    }
    if opened.is_empty() {
        let reasons: Vec<String> = idle.iter().filter_map(|probe| reason(&probe.state)).collect();
        let message = if reasons.is_empty() { "no probe is to run".to_owned() } else { reasons.join("; ") };
        return Err(Refusal::new("probe", message, "`host doctor` tells what this machine lacks"));
    }
    Ok((opened, idle))
}

/// What is attached.
struct Live {
    paths: Vec<Arc<Path>>,
    /// With the router, if there is one.
    trunk: Option<Arc<Trunk>>,
}

/// Attaches all, last of all: from here on records come. The paths of protocols come after all others.
fn attach(
    settings: &Settings,
    paths: Vec<Arc<Path>>,
    trunk: Option<Composed>,
    idle: &mut Vec<host_model::Probe>,
) -> Result<Live, Refusal> {
    let must = |name: &str| {
        let enabled = settings.config.probes.get(name).and_then(|probe| probe.enabled);
        settings.probes.iter().any(|probe| probe == name) || enabled == Some(true)
    };
    let mut attached = Vec::new();
    for path in paths {
        match path.attach() {
            Ok(()) => attached.push(path),
            Err(error) if must(path.name()) => return Err(wiring::kernel(error)),
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
            Err(error) if must(trunk.name()) => return Err(wiring::kernel(error)),
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
            Err(Refusal::new("probe", reasons.join("; "), "`host doctor` tells what this machine lacks"))
        }
    }
}

/// Compiles what is in the slots: the plugins of all paths, and the decoder of each. All at once: it is most of a start.
pub(crate) fn slots(
    compiler: &Compiler,
    settings: &Settings,
    probes: &[&str],
    trunk: bool,
    steps: &Steps,
) -> Result<Slots, Refusal> {
    let config = &settings.config;
    let _unpacked = loading::unpacked(compiler.engine().execution());
    let protocols = if trunk { protocols::choices(config, probes, compiler.engine().execution())? } else { Vec::new() };
    let decoders = probes.iter().map(|probe| loading::decoder(config, probe));
    let choices: Vec<Choice> = decoders.chain(protocols).chain(loading::choices(config)).collect();
    let named: Vec<Slot> = choices.iter().map(|choice| choice.slot.clone()).collect();
    let compiled: Vec<_> = std::thread::scope(|scope| {
        let compile = |choice: Choice| {
            let _compiling = steps.begin(format!("plugin {} of slot {} to be compiled", choice.component, choice.slot));
            generation(compiler, settings, 1, choice)
        };
        let compiling: Vec<_> = choices.into_iter().map(|choice| scope.spawn(move || compile(choice))).collect();
        compiling.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for (slot, _) in config.plugins.iter() {
        if let Slot::Decoder(probe) | Slot::SamplerOf(probe) = slot
            && !named.contains(&Slot::Decoder(probe.clone()))
        {
            tracing::warn!(%slot, "there is no path `{probe}` now; this plugin waits for its probe");
        }
    }
    for slot in loading::waiting(config) {
        tracing::warn!(%slot, "no component is named for this slot, and none in the binary is made for it: it is empty until one is loaded");
    }
    let kept = config.engine.generations.map_or(KEPT, |kept| usize::try_from(kept).unwrap_or(usize::MAX));
    let mut slots = Slots::keeping(kept);
    for generation in compiled {
        let generation =
            generation.map_err(|_| Refusal::new("compile", "the compiler panicked", "this is a fault of the host"))?;
        let generation = generation?;
        generation.record().since_unix_ms = unix_ms();
        slots.put(Arc::new(generation));
    }
    Ok(slots)
}

/// The plugin that the configuration puts into a slot.
pub(crate) fn generation(compiler: &Compiler, settings: &Settings, number: u64, choice: Choice) -> Result<Generation, Refusal> {
    let Choice { slot, component, config } = choice;
    let component = FilePath::new(&component);
    let (bytes, stem) = (loading::read(component, compiler.engine().execution())?, loading::stem(component));
    let order = Order { slot, number, bytes, stem: &stem, config: Arc::new(config), compiled: None };
    loading::compile(compiler, &settings.config, order)
}

/// The way out, by flags, configuration and environment.
pub(crate) fn exporter(settings: &Settings, runtime: &Handle) -> Result<Exporter, Refusal> {
    let config = &settings.config.export;
    let explicit = Explicit {
        endpoint: settings.otlp_endpoint.clone().or_else(|| config.endpoint.clone()),
        protocol: config.protocol.map(|protocol| match protocol {
            ProtocolName::Grpc => "grpc".into(),
            ProtocolName::HttpProtobuf => "http/protobuf".into(),
        }),
        headers: config.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        compression: config.compression.map(|compression| match compression {
            CompressionName::None => "none".into(),
            CompressionName::Gzip => "gzip".into(),
        }),
        timeout_ms: config.timeout.map(|timeout| u64::try_from(timeout.0.as_millis()).unwrap_or(u64::MAX)),
        queue_bytes: config.queue_bytes.map(|size| size.0),
        sensitive: config.sensitive.clone().unwrap_or_default(),
    };
    explicit.endpoint.iter().try_for_each(|endpoint| with_scheme(endpoint))?;
    let variable = |name: &str| std::env::var(name).ok();
    let export =
        ExportSettings::merge(&variable, &explicit).map_err(|error| Refusal::new("export", error.to_string(), error.cure))?;
    let lines = || settings.view.as_ref().map_or_else(|| Box::new(std::io::stdout()) as _, View::open);
    let output = match settings.output.or(config.output).unwrap_or(OutputName::None) {
        OutputName::None => Output::None,
        OutputName::Jsonl => Output::Jsonl(lines()),
        OutputName::Console => Output::Console(lines(), style(settings.view.is_none())),
    };
    Exporter::start(export, output, runtime)
        .map_err(|error| Refusal::new("export", error.to_string(), "correct the endpoint or its certificates"))
}

/// Where no scheme is written, OpenTelemetry means https; whoever writes `localhost:4317` means a collector without TLS, and would
/// lose everything without a word.
fn with_scheme(endpoint: &str) -> Result<(), Refusal> {
    if endpoint.contains("://") {
        return Ok(());
    }
    let shown = host_model::printable(endpoint, 200);
    // A password is not for a log.
    let shown = shown.rsplit_once('@').map_or(shown.as_str(), |(_, rest)| rest);
    let message = format!("the collector's endpoint `{shown}` has no scheme");
    Err(Refusal::new("export", message, format!("write http://{shown}, or https://{shown} if it speaks TLS")))
}

/// Only lines that a person reads on standard output are coloured and cut.
fn style(on_stdout: bool) -> ConsoleStyle {
    let terminal = on_stdout && std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
    ConsoleStyle { colour: terminal && !plain, width: if terminal && width > 0 { width } else { u16::MAX } }
}

/// Watches for what ends the daemon, and sends its telemetry.
fn watch(core: &Arc<Core>, signals: &Signals) -> Vec<JoinHandle<()>> {
    let of = |core: &Arc<Core>| Arc::clone(core);
    let mut watchers = Vec::new();
    let (ends, ended) = (of(core), signals.ended());
    watchers.push(tokio::spawn(async move {
        ended.await;
        ends.end(Cause::Signal);
    }));
    watchers.push(tokio::spawn(of(core).answer_hangups(signals.hangups())));
    if let Some(duration) = core.settings.duration {
        let ends = of(core);
        watchers.push(tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            ends.end(Cause::Duration);
        }));
    }
    if core.origin == Origin::Replay {
        let ends = of(core);
        watchers.push(tokio::spawn(async move {
            let finished = |core: &Core| {
                core.trunk().is_none_or(|trunk| trunk.finished()) && core.paths().iter().all(|path| path.finished())
            };
            while !finished(&ends) {
                tokio::time::sleep(LOOK).await;
            }
            ends.end(Cause::Ended);
        }));
    }
    let ends = of(core);
    watchers.push(tokio::spawn(async move {
        ends.parts.exporter.output_closed().await;
        ends.end(Cause::Closed);
    }));
    watchers.push(tokio::spawn(of(core).look_after_quarantine()));
    let tells = of(core);
    let interval = core.settings.config.telemetry.interval.map_or(TELL, |interval| interval.0.max(Duration::from_millis(100)));
    watchers.push(tokio::spawn(async move {
        let mut memory = Memory::default();
        loop {
            tokio::time::sleep(interval).await;
            tells.tell().await;
            memory.give_back().await;
        }
    }));
    watchers
}

/// Writes the ready file, whole or not at all: who waits for it may read it at once. A link in its place is not followed.
fn announce(file: &FilePath) -> Result<Remnant, Refusal> {
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
        Refusal::new("start", format!("ready file {}: {error}", file.display()), "name a file that can be written")
    })
}

fn failed(wanted: &Wanted, refusal: &Refusal) -> host_model::Probe {
    wanted::idle(&wanted.name, wanted.object.built_in(), ProbeState::Failed(refusal.message.clone()))
}

pub(crate) fn reason(state: &ProbeState) -> Option<String> {
    match state {
        ProbeState::Failed(reason) => Some(reason.clone()),
        ProbeState::Attached | ProbeState::Detached => None,
    }
}

// === impl Gate ===

impl Gate {
    /// Goes through, unless it was called off.
    fn pass(&self) -> bool {
        self.0.compare_exchange(0, PASSED, Relaxed, Relaxed).is_ok()
    }

    /// Calls it off, unless it has gone through.
    fn call_off(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Relaxed, Relaxed).is_ok()
    }
}

impl From<SocketError> for Refusal {
    fn from(error: SocketError) -> Self {
        Self::new("socket", error.to_string(), error.cure())
    }
}
