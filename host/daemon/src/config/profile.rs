//! Sizes for a kind of machine: one key in place of many, each of which still overrides it.

use std::fmt;

use host_export::QUEUE_BYTES;
use host_pipeline::BatchLimits;
use host_plugin::{COMPILES, INSTANCES, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, KEPT, MAX_REPRO_BYTES, MAX_REPROS, ProbeConfig, Size, memory};

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// A server: room for floods and for a collector that is away.
    Standard,
    /// A gateway: under 48 MiB for all of it at a thousand records a second.
    Edge,
}

/// One effective size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The key, dotted.
    pub key: String,
    /// Its value as the configuration writes it.
    pub value: String,
    /// Its origin.
    pub from: Sayer,
}

/// The origin of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sayer {
    /// The key itself.
    Key,
    /// The profile.
    Profile,
}

/// A key that has a value in each profile.
struct Key {
    name: &'static str,
    /// The default; None: the value in the probe's object.
    standard: Option<u64>,
    edge: u64,
    place: AtKey,
}

/// Returns the place of a key's value in a configuration.
type AtKey = fn(&mut Config) -> Place<'_>;

/// The value of a size key.
enum Place<'a> {
    Bytes(&'a mut Option<Size>),
    Count(&'a mut Option<u32>),
}

/// Returns the keys, in the order of docs/host.toml. At a thousand records a second a ring of 256 KiB holds a second or more.
fn keys() -> Vec<Key> {
    let (batch, limits) = (BatchLimits::default(), Limits::default());
    let key = |name, standard: u64, edge, place: AtKey| Key { name, standard: Some(standard), edge, place };
    let ring = |name, edge, place: AtKey| Key { name, standard: None, edge, place };
    vec![
        key("threads", THREADS.into(), 1, |config| Place::Count(&mut config.threads)),
        ring("probes.exec.ring_bytes", 256 << 10, |config| ring_of(config, "exec")),
        ring("probes.file.ring_bytes", 512 << 10, |config| ring_of(config, "file")),
        ring("probes.l7.ring_bytes", 1 << 20, |config| ring_of(config, "l7")),
        ring("probes.tcp.ring_bytes", 256 << 10, |config| ring_of(config, "tcp")),
        key("limits.memory_bytes", limits.memory_bytes as u64, 16 << 20, |config| {
            Place::Bytes(&mut config.limits.memory_bytes)
        }),
        key("limits.output_bytes", limits.output_bytes as u64, 4 << 20, |config| Place::Bytes(&mut config.limits.output_bytes)),
        key("limits.output_rows", limits.output_rows as u64, 32_768, |config| Place::Count(&mut config.limits.output_rows)),
        key("limits.state_bytes", limits.state_bytes as u64, 1 << 20, |config| Place::Bytes(&mut config.limits.state_bytes)),
        key("engine.instances", INSTANCES.into(), 96, |config| Place::Count(&mut config.engine.instances)),
        key("engine.generations", KEPT as u64, 2, |config| Place::Count(&mut config.engine.generations)),
        key("cache.max_bytes", MAX_CODE, 64 << 20, |config| Place::Bytes(&mut config.cache.max_bytes)),
        key("repro.max_count", MAX_REPROS as u64, 8, |config| Place::Count(&mut config.repro.max_count)),
        key("repro.max_bytes", MAX_REPRO_BYTES, 8 << 20, |config| Place::Bytes(&mut config.repro.max_bytes)),
        key("export.queue_bytes", QUEUE_BYTES, 4 << 20, |config| Place::Bytes(&mut config.export.queue_bytes)),
        key("batch.rows", batch.rows as u64, 256, |config| Place::Count(&mut config.batch.rows)),
        key("batch.bytes", batch.bytes as u64, 64 << 10, |config| Place::Bytes(&mut config.batch.bytes)),
        key("metrics.bytes", batch.metric_bytes as u64, 4 << 20, |config| Place::Bytes(&mut config.metrics.bytes)),
        key("metrics.cardinality", batch.cardinality as u64, 500, |config| Place::Count(&mut config.metrics.cardinality)),
    ]
}

/// Default number of threads for the control socket and the exporter; the paths have threads of their own.
pub const THREADS: u32 = 2;

/// Maximum bytes of compiled code in the cache. 512 MiB: the code of a component is two to five times its bytes, an interpreter's 18 MiB
/// make 80.
const MAX_CODE: u64 = 512 << 20;

fn ring_of<'a>(config: &'a mut Config, probe: &str) -> Place<'a> {
    Place::Bytes(&mut config.probes.entry(probe.to_owned(), ProbeConfig::default()).ring_bytes)
}

// === impl Config ===

impl Config {
    /// Returns the kind of machine that sizes are for: that of the file, otherwise the default of this build; or that of a gateway if the
    /// memory limit of this process is below the needs of a server's.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile.unwrap_or(if COMPILES && !is_tight() { Profile::Standard } else { Profile::Edge })
    }

    /// Returns the note to log at the start about the memory limit of this process; None if it is sufficient.
    #[must_use]
    pub fn memory_note(&self) -> Option<String> {
        memory::limit().and_then(|limit| self.note_of(limit))
    }

    fn note_of(&self, limit: u64) -> Option<String> {
        let (has, profile) = (Size(limit), self.profile());
        if limit < profile.takes() {
            let takes = Size(profile.takes());
            let cure = if profile == Profile::Standard { ", or choose `profile = \"edge\"`" } else { "" };
            return Some(format!(
                "its control group has {has} of memory, and profile {profile} takes up to {takes}: it may be killed; give it more{cure}"
            ));
        }
        let chosen = self.profile.is_none() && COMPILES && profile == Profile::Edge;
        chosen.then(|| {
            let takes = Size(Profile::Standard.takes());
            format!(
                "its control group has {has} of memory: sizes are those of profile edge, because standard takes up to {takes}"
            )
        })
    }

    /// Returns the configuration with every unset size filled in from its profile.
    #[must_use]
    pub fn sized(mut self) -> Self {
        let profile = self.profile();
        for key in keys() {
            if let Some(value) = key.value(profile) {
                (key.place)(&mut self).fill(value);
            }
        }
        self
    }

    /// Returns the effective sizes and their origin.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let profile = self.profile();
        let mut config = self.clone();
        let mut held = Vec::new();
        for key in keys() {
            let mut place = (key.place)(&mut config);
            let from = if place.is_set() { Sayer::Key } else { Sayer::Profile };
            if let Some(value) = key.value(profile) {
                place.fill(value);
            }
            held.push(Held { key: key.name.to_owned(), value: place.to_string(), from });
        }
        held
    }
}

// === impl Profile ===

impl Profile {
    /// Memory that a host of this profile may reach with all probes, while a collector is away. The first start of a build with a compiler
    /// takes most: 100 MiB were measured with `standard` and 73 with `edge`, and the queue is added.
    const fn takes(self) -> u64 {
        match self {
            Self::Standard => 192 << 20,
            Self::Edge if COMPILES => 80 << 20,
            Self::Edge => 56 << 20,
        }
    }
}

/// Whether the memory limit of this process is below the needs of a server's profile.
fn is_tight() -> bool {
    memory::limit().is_some_and(|limit| limit < Profile::Standard.takes())
}

// === impl Key ===

impl Key {
    const fn value(&self, profile: Profile) -> Option<u64> {
        match profile {
            Profile::Standard => self.standard,
            Profile::Edge => Some(self.edge),
        }
    }
}

// === impl Place ===

impl Place<'_> {
    const fn is_set(&self) -> bool {
        match self {
            Self::Bytes(size) => size.is_some(),
            Self::Count(count) => count.is_some(),
        }
    }

    fn fill(&mut self, value: u64) {
        match self {
            Self::Bytes(size) => _ = size.get_or_insert(Size(value)),
            Self::Count(count) => _ = count.get_or_insert(u32::try_from(value).unwrap_or(u32::MAX)),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(Some(size)) => write!(f, "{size}"),
            Self::Count(Some(count)) => write!(f, "{count}"),
            Self::Bytes(None) | Self::Count(None) => f.write_str("what its object says"),
        }
    }
}

// === impl Profile ===

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Edge => "edge",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(Path::new("host.toml"), text).unwrap()
    }

    #[test]
    fn one_word_sizes_everything_and_every_key_goes_before_it() {
        let edge = config("profile = \"edge\"\n[export]\nqueue_bytes = \"1MiB\"\n[probes.file]\nenabled = true").sized();
        assert_eq!(edge.export.queue_bytes, Some(Size(1 << 20)));
        assert_eq!(edge.batch.rows, Some(256));
        let file = edge.probes.get("file").unwrap();
        assert_eq!((file.enabled, file.ring_bytes), (Some(true), Some(Size(512 << 10))));
        assert_eq!(edge.probes.get("l7").unwrap().enabled, None, "to size a probe is not to ask for it");
        assert_eq!(edge.clone().sized(), edge);
    }

    #[test]
    fn the_standard_profile_writes_out_what_holds_anyway() {
        let standard = config("profile = \"standard\"").sized();
        assert_eq!(standard.export.queue_bytes, Some(Size(QUEUE_BYTES)));
        assert_eq!(standard.limits.limits(), Limits { quarantine: standard.limits.limits().quarantine, ..Limits::default() });
        assert_eq!(standard.probes.get("file").and_then(|probe| probe.ring_bytes), None);
    }

    #[test]
    fn what_holds_is_told_with_who_says_so() {
        let held = config("profile = \"edge\"\n[batch]\nrows = 7").held();
        let of = |key: &str| held.iter().find(|held| held.key == key).map(|held| (held.value.as_str(), held.from)).unwrap();
        assert_eq!(of("batch.rows"), ("7", Sayer::Key));
        assert_eq!(of("batch.bytes"), ("64KiB", Sayer::Profile));
        assert_eq!(config("profile = \"standard\"").held()[1].value, "what its object says");
    }

    #[test]
    fn a_group_with_little_memory_is_told_before_it_kills() {
        let note = |text: &str, limit: u64| config(text).note_of(limit << 20);
        let standard = note("profile = \"standard\"", 64).unwrap();
        assert!(standard.contains("64MiB") && standard.contains("killed") && standard.contains("edge"), "{standard}");
        assert!(note("profile = \"edge\"", 32).unwrap().contains("killed"));
        assert_eq!((note("profile = \"edge\"", 96), note("profile = \"standard\"", 512)), (None, None));
    }

    #[test]
    fn every_key_of_a_profile_can_be_written() {
        for Held { key, value, .. } in config("profile = \"edge\"").held() {
            let value = if value.ends_with('B') { format!("\"{value}\"") } else { value };
            let held = config(&format!("profile = \"edge\"\n{key} = {value}")).held();
            assert_eq!(held.iter().find(|held| held.key == key).unwrap().from, Sayer::Key, "{key}");
        }
    }
}
