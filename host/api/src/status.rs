//! The status, as `host status` shows it. The JSON names are a contract with scripts; all numbers are integers.

use std::collections::BTreeMap;

use host_model::{FaultKind, Ledger, Probe, UnknownPort};
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;

/// `GET /v1/status`: what the host is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetStatus;

/// `GET /v1/plugins`: the plugins on their paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetPlugins;

/// `POST /v1/stop`: ends the host. It is answered when everything is drained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stop {}

/// The daemon at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Whether the sums of every path hold.
    pub balanced: bool,
    /// Version of the daemon.
    pub version: String,
    /// Milliseconds since it was started.
    pub uptime_ms: u64,
    /// Where records come from.
    pub mode: Origin,
    /// The paths, in the order of the configuration.
    pub paths: Vec<PathStatus>,
    /// The probes, those that failed included.
    pub probes: Vec<Probe>,
    /// The last swaps, oldest first; at most [`MAX_SWAPS`].
    pub swaps: Vec<Swap>,
    /// The way out.
    pub export: ExportStatus,
    /// The daemon's own process.
    pub process: ProcessStatus,
}

/// Where records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From this kernel.
    Live,
    /// From a capture.
    Replay,
}

/// One path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathStatus {
    /// Its probe, which is its name.
    pub probe: String,
    /// Its sums.
    pub ledger: Ledger,
    /// The age of the sums in milliseconds: 0 unless the path's thread was busy with one batch when it was asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ledger_age_ms: u64,
    /// Its plugins, in the order an event meets them.
    pub plugins: Vec<PluginStatus>,
    /// Metric series that the path counts before sampling.
    pub metrics_series: u64,
    /// The probe whose records are routed here, of the path of a protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// Connections that the router of this probe knows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub connections: u64,
    /// Connections whose protocol nobody knew, by the port of the server; at most 257.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownPort>,
}

/// One plugin on one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginStatus {
    /// The slot it is in.
    pub slot: String,
    /// Its name, from its own bytes.
    pub name: String,
    /// Its version, from its own bytes.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// How many plugins the slot has had, this one included.
    pub generation: u64,
    /// What it is doing.
    pub state: PluginState,
    /// Calls into it since it went live.
    pub calls: u64,
    /// Rows that went in.
    pub rows: u64,
    /// Calls in which it broke a limit or the contract.
    pub traps: u64,
    /// Everything it did instead of its work, by kind; kinds without any are left out.
    #[serde(default)]
    pub faults: BTreeMap<FaultKind, u64>,
    /// Instances that were replaced because their memory had grown past the high-water mark.
    #[serde(default)]
    pub recycled: u64,
    /// Calls that it made into the host.
    #[serde(default)]
    pub host_calls: u64,
    /// Lines that it wrote over its rate and that were left out.
    #[serde(default)]
    pub lines_left_out: u64,
    /// Keys of tables that the host could not read within the time of the call, and left out.
    #[serde(default)]
    pub lookups_left_out: u64,
    /// All the time of the host's own work on what it returned: rows counted, completed and encoded. Of decoders.
    #[serde(default)]
    pub work_ns: u64,
    /// For 99 of 100 batches that work took no longer.
    #[serde(default)]
    pub work_p99_ns: u64,
    /// Half of the calls took no longer.
    pub p50_ns: u64,
    /// 99 of 100 calls took no longer.
    pub p99_ns: u64,
    /// Its linear memory.
    pub memory_bytes: u64,
    /// The most it may have.
    #[serde(default)]
    pub memory_cap_bytes: u64,
    /// All the time spent in it.
    pub total_ns: u64,
}

/// What a plugin is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// It is called with every batch.
    Live,
    /// It is called, and has faulted within the last minute.
    Faulting,
    /// It is not called for a while because of faults.
    BackingOff,
    /// It is not called any more because of faults; its batches fall back as its role does.
    Quarantined,
    /// Its path has ended.
    Ended,
}

/// A plugin and the path it is on, as `host plugin list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginOnPath {
    /// The path.
    pub path: String,
    /// The plugin.
    #[serde(flatten)]
    pub plugin: PluginStatus,
}

/// One change of what a slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Swap {
    /// The slot.
    pub slot: String,
    /// What it held: `name@version (generation)`; empty if nothing.
    pub from: String,
    /// What it holds: `name@version (generation)`; empty if nothing.
    pub to: String,
    /// The longest time that a path stood still.
    pub pause_ns: u64,
    /// Rows that came out of the paths between the order to switch and the switch of the last path.
    pub rows_during: u64,
    /// What became of the old plugin's state, the worst over all paths: `stateless` (there is none), `warm` (it went over), or
    /// `cold: ` and why; empty if there was no plugin before or after.
    pub handover: String,
    /// Why: `load`, `unload`, `rollback`, `promote`; or what the host did by itself: `quarantined: ` or `promoted: ` and why.
    #[serde(default)]
    pub reason: String,
    /// When, Unix milliseconds.
    #[serde(default)]
    pub unix_ms: u64,
}

/// The way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportStatus {
    /// The collector; none if rows go to an output or nowhere.
    pub endpoint: Option<String>,
    /// Bytes that wait for it.
    pub queue_bytes: u64,
    /// The most that may wait.
    pub queue_cap_bytes: u64,
    /// What it last answered that was not success.
    pub last_error: Option<String>,
    /// Requests that were sent again.
    pub retries: u64,
}

/// The daemon's own process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessStatus {
    /// Resident memory.
    pub rss_bytes: u64,
    /// CPU time, user and system, whole seconds.
    pub cpu_seconds: u64,
    /// The same in milliseconds.
    pub cpu_ms: u64,
}

/// What was true at the end, after everything was drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinalReport {
    /// Whether the sums of every path hold.
    pub balanced: bool,
    /// Why it ended.
    pub cause: Cause,
    /// Milliseconds from the start to the end of the drain.
    pub uptime_ms: u64,
    /// Name and sums of every path, those that were unloaded included.
    pub paths: Vec<(String, Ledger)>,
    /// What did not end in time and was left behind: what it had read and not delivered is lost. Empty after a good end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hung: Vec<String>,
}

impl Endpoint for GetStatus {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/status";
    type Answer = Status;
}

impl Endpoint for GetPlugins {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/plugins";
    type Answer = Vec<PluginOnPath>;
}

impl Endpoint for Stop {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/stop";
    type Answer = FinalReport;
}

impl FinalReport {
    /// Returns the paths that kept rows which were not delivered before the end, with their number: the collector was away, or too slow.
    #[must_use]
    pub fn undelivered(&self) -> Vec<(&str, u64)> {
        let of = |(_, ledger): &(String, Ledger)| ledger.dropped_at_shutdown + ledger.in_flight;
        self.paths.iter().filter(|path| of(path) > 0).map(|path| (path.0.as_str(), of(path))).collect()
    }
}

/// Why a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// SIGINT, SIGTERM, SIGQUIT or SIGXCPU; SIGHUP when a terminal goes away.
    Signal,
    /// The time it was given has passed.
    Duration,
    /// It was asked to, over the control socket or by the program.
    Stop,
    /// Every capture was read to its end.
    Ended,
    /// Nobody reads its output any more.
    Closed,
}

// === impl FinalReport ===

impl FinalReport {
    /// Returns the report of a host that has read nothing yet, or whose state is unknown.
    #[must_use]
    pub const fn of_nothing(hung: Vec<String>) -> Self {
        Self { balanced: true, cause: Cause::Signal, uptime_ms: 0, paths: Vec::new(), hung }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Maximum number of swaps in a status.
pub const MAX_SWAPS: usize = 256;
