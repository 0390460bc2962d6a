//! The configuration: the keys of `host.toml`, and their defaults.
//!
//! Every key is optional. By default the probes in the binary run, `sampler-ratio` samples and `enricher-process` enriches; a file adds to
//! that or overrides it key by key, and `enabled = false` removes a part.

mod engine;
mod error;
mod grants;
mod limits;
mod memory;
mod named;
mod plugin;
mod privilege;
mod profile;
mod protocols;
mod quantity;
mod state;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use host_api::Slot;
use host_kernel::file::PATIENCE;
use host_kernel::privileged;
use host_plugin::signature::PublicKey;
use schemars::JsonSchema;
use serde::Deserialize;

pub use engine::EngineConfig;
pub(crate) use engine::KEPT;
pub use error::ConfigError;
pub(crate) use error::nearest;
pub(crate) use grants::digest_of;
pub use grants::{GrantConfig, Grantee};
pub use limits::{DeadlinesConfig, LimitsConfig};
pub use named::Named;
pub use plugin::{FallbackName, PluginConfig, QuarantineConfig};
pub use privilege::{AfterAttach, PrivilegeConfig, ProcessesName};
pub use profile::{Held, Profile, Sayer, THREADS};
pub use protocols::{Port, ProtocolsConfig};
pub use quantity::{Size, Span};
pub use state::{CacheConfig, ReproConfig, default_state_dir};
pub(crate) use state::{MAX_REPRO_BYTES, MAX_REPROS};

/// All of `host.toml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The file it was read from. Its rules about plugins are read again at each load.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// What everything is sized for where its own key says nothing; `host config show` tells what that comes to. Default: `standard`,
    /// and `edge` in a build without a compiler.
    pub profile: Option<Profile>,
    /// Threads for the control socket and the way out. Default 2.
    pub threads: Option<u32>,
    /// The control socket. Default: `$XDG_RUNTIME_DIR/host.sock`, for root `/run/host.sock`, as a service `/run/host/host.sock`.
    pub socket: Option<PathBuf>,
    /// A folder whose `*.bpf.o` are loaded as probes at the start. The part of the file name before `.bpf.o` is the probe's name.
    pub probe_dir: Option<PathBuf>,
    /// What is to be known of the kernel.
    pub kernel: KernelConfig,
    /// Probes by name. `exec`, `file`, `l7` and `tcp` are in the binary; any other needs an `object`.
    #[schemars(with = "BTreeMap<String, ProbeConfig>")]
    pub probes: Named<String, ProbeConfig>,
    /// Protocols that are spoken over connections, and where they are looked for.
    pub protocols: ProtocolsConfig,
    /// Plugins by slot: `decoder.<probe>`, `decoder.<protocol>`, `sampler`, `sampler.<probe>`, `enricher.<name>`. Enrichers work in the order of the file.
    #[schemars(with = "BTreeMap<String, PluginConfig>")]
    pub plugins: Named<Slot, PluginConfig>,
    /// What components may import besides `log` and `config`, by who they are; added to what their slot grants.
    pub grants: Vec<GrantConfig>,
    /// Whose signatures are known: public keys, as `host plugin keygen` prints them, by name.
    #[schemars(with = "BTreeMap<String, String>")]
    pub signers: BTreeMap<String, PublicKey>,
    /// What the host insists on being allowed, and what it keeps of it.
    pub privilege: PrivilegeConfig,
    /// Where compiled code and repros are kept. Default: `$STATE_DIRECTORY`; else for root `/var/lib/host`; else `host` in
    /// `$XDG_STATE_HOME` or `~/.local/state`.
    pub state_dir: Option<PathBuf>,
    /// What every plugin may use whose slot says nothing of it.
    pub limits: LimitsConfig,
    /// What runs the plugins.
    pub engine: EngineConfig,
    /// Compiled code, kept for the next start. Without meaning in a build without a compiler.
    pub cache: CacheConfig,
    /// Calls that failed, kept to be repeated.
    pub repro: ReproConfig,
    /// Where kept rows and metrics go.
    pub export: ExportConfig,
    /// When a batch closes: whichever comes first.
    pub batch: BatchConfig,
    /// Metrics that are counted before sampling.
    pub metrics: MetricsConfig,
    /// What the host says about itself.
    pub telemetry: TelemetryConfig,
}

/// What is to be known of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KernelConfig {
    /// The running kernel's BTF, relative to this file, where it has none of its own in `/sys/kernel/btf/vmlinux`.
    pub btf: Option<PathBuf>,
}

/// One probe.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// `true`: it must run, and it is an error if this kernel cannot. `false`: it does not run. Unset: it runs if it can.
    pub enabled: Option<bool>,
    /// An object of your own (`*.bpf.o`), relative to this file. Unset for the probes in the binary.
    pub object: Option<PathBuf>,
    /// Size of its ring, a power of two. Default: what its object says.
    pub ring_bytes: Option<Size>,
    /// Sizes of its other maps, by map name.
    pub max_entries: BTreeMap<String, u32>,
    /// Whose events the kernel side lets through.
    pub filter: FilterConfig,
    /// Of a probe that sees connections: only those with one of these ports at either end, at most 64. Default: all.
    pub ports: Vec<u16>,
}

/// Whose events the kernel side lets through; all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterConfig {
    /// Process id (thread group).
    pub pid: Option<u32>,
    /// Command name, at most 15 bytes.
    pub comm: Option<String>,
    /// Path of a cgroup v2; its descendants are let through as well. Relative paths start at `/sys/fs/cgroup`.
    pub cgroup: Option<PathBuf>,
}

/// Where kept rows and metrics go. What is unset here comes from `OTEL_EXPORTER_OTLP_*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExportConfig {
    /// URL of an OpenTelemetry collector.
    pub endpoint: Option<String>,
    /// How it is spoken to. Default grpc at port 4317, else http/protobuf.
    pub protocol: Option<ProtocolName>,
    /// Headers of every request.
    pub headers: BTreeMap<String, String>,
    /// Default none.
    pub compression: Option<CompressionName>,
    /// Time that one request may take. Default 10s.
    pub timeout: Option<Span>,
    /// Bytes that may wait for the collector. Default 64MiB.
    pub queue_bytes: Option<Size>,
    /// Time for the collector to take what waits at the end. Default 5s.
    pub drain: Option<Span>,
    /// Names of fields that go out although they may reveal what a program sent or who did it, such as `process.command_args`.
    pub sensitive: Option<Vec<String>>,
    /// Where rows are shown. With an `endpoint` it is a view beside it; without one it is the way out.
    pub output: Option<OutputName>,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ProtocolName {
    /// OTLP over gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP over HTTP, protobuf.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// Compression of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompressionName {
    /// None.
    None,
    /// gzip.
    Gzip,
}

/// Where rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputName {
    /// One JSON object per line on stdout.
    Jsonl,
    /// One readable line per row on stdout.
    Console,
    /// Nowhere; rows count as exported.
    None,
}

/// When a batch closes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// Rows. Default 1024.
    pub rows: Option<u32>,
    /// Bytes of records. Default 256KiB.
    pub bytes: Option<Size>,
    /// Age of its first record. Default 50ms.
    pub age: Option<Span>,
}

/// Metrics that are counted before sampling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// How often they go out. Default 10s.
    pub interval: Option<Span>,
    /// Series that one path may have. Default 2000; what is over it is counted in one series of its own.
    pub cardinality: Option<u32>,
    /// Bytes that they may take as they go out, those of one path. Default 32MiB; what is over it is counted in that series as well.
    pub bytes: Option<Size>,
}

/// What the host says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Its own log, as `RUST_LOG`, which overrides it. Default info.
    pub log: Option<String>,
    /// How often its own metrics go out. Default 10s.
    pub interval: Option<Span>,
}

/// Maximum number of threads for the control socket and the exporter, which have little to do.
const MOST_THREADS: u32 = 256;
/// Maximum bytes of a file. Four MiB: ten thousand slots.
const MOST_TEXT: u64 = 4 << 20;

// === impl Config ===

impl Config {
    /// Reads a file. Paths in it are made relative to its folder.
    ///
    /// # Errors
    /// The problem, its line and column, and the nearest known key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { file: path.to_owned(), source };
        let mut text = String::new();
        // A pipe is accepted as well, as a shell makes for `<(...)`.
        File::open(path).and_then(|file| file.take(MOST_TEXT + 1).read_to_string(&mut text)).map_err(failed)?;
        if text.len() as u64 > MOST_TEXT {
            return Err(failed(io::Error::other(format!("it has more than {} MiB", MOST_TEXT >> 20))));
        }
        let mut config = Self::parse(path, &text)?;
        if let Some(folder) = path.parent() {
            config.resolve(folder);
        }
        config.file = Some(path.to_owned());
        Ok(config)
    }

    /// Reads plugins, grants and signers from the file again, so that a new grant takes no restart; the rest stays as read at the start.
    /// Without a file nothing changes.
    ///
    /// # Errors
    /// The same as those of [`Config::load`].
    pub fn with_rules_of_now(&self) -> Result<Self, ConfigError> {
        let Some(file) = &self.file else { return Ok(self.clone()) };
        let file = file.clone();
        let read = privileged::read(PATIENCE, {
            let file = file.clone();
            move || Self::load(&file)
        });
        let late = |late| Err(ConfigError::Read { file, source: io::Error::other(late) });
        let Self { plugins, grants, signers, .. } = read.unwrap_or_else(late)?;
        Ok(Self { plugins, grants, signers, ..self.clone() })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The same as those of [`Config::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::locate(file, text, &error))?;
        config.check()?;
        Ok(config)
    }

    /// Checks keys against each other. Reads and starts nothing.
    ///
    /// # Errors
    /// The key whose value is not allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_signers()?;
        self.protocols.check()?;
        self.check_sizes()?;
        self.limits.check("limits")?;
        self.plugins.iter().try_for_each(|(slot, plugin)| plugin.check(slot))
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        match self.threads {
            Some(threads) if threads == 0 || threads > MOST_THREADS => {
                let message = format!("{threads} threads are not possible; write 1 to {MOST_THREADS}");
                Err(ConfigError::Value { key: "threads".into(), message })
            }
            _ => Ok(()),
        }
    }

    /// Makes relative paths start at `folder`.
    pub fn resolve(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        self.socket.iter_mut().for_each(resolve);
        self.probe_dir.iter_mut().for_each(resolve);
        self.state_dir.iter_mut().for_each(resolve);
        self.kernel.btf.iter_mut().for_each(resolve);
        self.probes.values_mut().for_each(|probe| probe.object.iter_mut().for_each(resolve));
        for component in self.plugins.values_mut().filter_map(|plugin| plugin.component.as_mut()) {
            if is_file(component) {
                *component = folder.join(&*component).to_string_lossy().into_owned();
            }
        }
    }
}

/// Whether a `component` is a file rather than a name in the binary.
#[must_use]
pub fn is_file(component: &str) -> bool {
    component.contains('/') || component.ends_with(".wasm") || component.ends_with(".cwasm")
}

/// Returns the JSON schema of `host.toml`, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_is_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/host.toml");
        let config = Config::load(&path).unwrap();
        assert!(!config.probes.is_empty() && !config.plugins.is_empty());
    }

    #[test]
    fn the_services_configuration_is_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/host.toml");
        assert!(Config::load(&path).unwrap().export.output.is_some());
    }

    #[test]
    fn enrichers_keep_the_order_of_the_file() {
        let text = "[plugins.\"enricher.z\"]\n[plugins.\"enricher.a\"]\n[plugins.sampler]\n";
        let config = Config::parse(Path::new("host.toml"), text).unwrap();
        let slots: Vec<_> = config.plugins.iter().map(|(slot, _)| slot.to_string()).collect();
        assert_eq!(slots, ["enricher.z", "enricher.a", "sampler"]);
    }

    #[test]
    fn a_relative_path_starts_at_the_files_folder_and_a_name_stays_a_name() {
        let text = "probe_dir = \"probes\"\n[kernel]\nbtf = \"vmlinux.btf\"\n[plugins.sampler]\ncomponent = \"sampler-ratio\"\n[plugins.\"enricher.x\"]\ncomponent = \"./x.wasm\"";
        let mut config = Config::parse(Path::new("host.toml"), text).unwrap();
        config.resolve(Path::new("/etc/host"));
        assert_eq!(config.probe_dir.unwrap(), Path::new("/etc/host/probes"));
        assert_eq!(config.kernel.btf.unwrap(), Path::new("/etc/host/vmlinux.btf"));
        let components: Vec<_> = config.plugins.iter().map(|(_, plugin)| plugin.component.clone().unwrap()).collect();
        assert_eq!(components, ["sampler-ratio", "/etc/host/./x.wasm"]);
    }

    #[test]
    fn the_json_schema_knows_the_same_keys() {
        let schema = json_schema();
        let keys = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        for key in [
            "socket",
            "probe_dir",
            "kernel",
            "probes",
            "protocols",
            "plugins",
            "grants",
            "signers",
            "state_dir",
            "cache",
            "repro",
            "telemetry",
        ] {
            assert!(keys.contains(&key), "{key} is missing in {keys:?}");
        }
        assert_eq!(schema["additionalProperties"], false);
    }
}
