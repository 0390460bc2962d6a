//! From a component's bytes to a generation of a slot: read, inspect, grant, compile.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host_api::{Slot, Step, is_name};
use host_kernel::file;
use host_model::{Lock, Role};
use host_plugin::limits::LARGEST_COMPONENT;
use host_plugin::{Component, Execution, Inspection, PluginError};
use hyper::body::Bytes;

use crate::config::{self, Config, PluginConfig};
use crate::error::DaemonError;
use crate::plugins::compiler::Compiler;
use crate::plugins::rules::{ENRICHER, Rules, signer};
use crate::plugins::slots::{Generation, Json};

/// What a component is to become.
pub(crate) struct Order<'a> {
    pub(crate) slot: Slot,
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
    /// What it is called if its bytes give it no name.
    pub(crate) stem: &'a str,
    pub(crate) config: Arc<Json>,
    /// A component that was compiled from the same bytes.
    pub(crate) compiled: Option<Component>,
}

/// What the configuration puts into a slot.
pub(crate) struct Choice {
    pub(crate) slot: Slot,
    /// A name in the binary or a file.
    pub(crate) component: String,
    pub(crate) config: Json,
}

/// The slots that hold something without a word of the configuration.
const DEFAULTS: [&str; 2] = ["sampler", ENRICHER];
/// Reads any record; for probes without a decoder of their own.
const ANY_RECORD: &str = "decoder-btf";

/// The plugins of all paths, in the order of the configuration; defaults that it does not name go first. A slot of which only rules are
/// told, and that nothing in the binary is made for, waits for what is loaded into it.
pub(crate) fn choices(config: &Config) -> Vec<Choice> {
    let defaults = DEFAULTS.iter().filter_map(|slot| slot.parse().ok()).filter(|slot| config.plugins.get(slot).is_none());
    let waits = waiting(config);
    let named = config
        .plugins
        .iter()
        .filter(|(slot, plugin)| plugin.enabled != Some(false) && slot.role() != Role::Decoder && !waits.contains(slot));
    defaults.chain(named.map(|(slot, _)| slot.clone())).map(|slot| choice(config, slot)).collect()
}

/// The slots of which the file tells rules and no component, and that nothing in the binary is made for. They are empty at the start.
pub(crate) fn waiting(config: &Config) -> Vec<&Slot> {
    let waits = |slot: &Slot, plugin: &PluginConfig| {
        matches!(slot, Slot::Enricher(_))
            && plugin.component.is_none()
            && plugin.enabled.is_none()
            && default_component(slot).is_none()
    };
    config.plugins.iter().filter(|(slot, plugin)| waits(slot, plugin)).map(|(slot, _)| slot).collect()
}

/// The decoder of a probe.
pub(crate) fn decoder(config: &Config, probe: &str) -> Choice {
    choice(config, Slot::Decoder(probe.to_owned()))
}

/// Reads a component: a name in the binary, or a file.
pub(crate) fn read(component: &Path, execution: Execution) -> Result<Bytes, DaemonError> {
    let name = component.to_string_lossy();
    match plugins::component(&name) {
        Some(built_in) => {
            let broken = || DaemonError::new(Step::Read, format!("`{name}` in the binary is broken"), "build the host anew");
            built_in.code(execution == Execution::Interpreted).map(Bytes::from_owner).ok_or_else(broken)
        }
        None => match file::read_privileged(component, LARGEST_COMPONENT as u64) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.is_absent() && !config::is_file(&name) => Err(unknown(&name)),
            Err(error) => Err(PluginError::new(&name, host_plugin::Step::Read, &error.to_string(), error.cure()).into()),
        },
    }
}

/// The bytes that a request brings along.
pub(crate) fn decoded(base64: &str) -> Result<Vec<u8>, DaemonError> {
    STANDARD
        .decode(base64)
        .map_err(|error| DaemonError::new(Step::Request, format!("bytes_base64: {error}"), "send standard base64"))
}

fn unknown(name: &str) -> DaemonError {
    let known: Vec<&str> = plugins::COMPONENTS.iter().map(|component| component.name).collect();
    let meant = meant(name).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
    let cure =
        format!("{meant}in the binary are {}; a file is named with its path or ends in .wasm or .cwasm", known.join(", "));
    DaemonError::new(Step::Read, format!("there is no component `{name}` in the binary, and no such file"), cure)
}

/// The component in the binary that whoever wrote this name probably meant: names have long beginnings in common.
#[must_use]
pub fn meant(name: &str) -> Option<&'static str> {
    config::nearest(name, plugins::COMPONENTS.iter().map(|component| component.name), 0.9)
}

/// As long as this is held, the plugins in the binary stay unpacked: for who reads more than one of them.
#[must_use]
pub(crate) fn unpacked(execution: Execution) -> impl Sized {
    plugins::COMPONENTS.first().map(|any| any.code(execution == Execution::Interpreted))
}

/// What a component is called whose bytes give it no name: the file's name without `.wasm`.
pub(crate) fn stem(component: &Path) -> String {
    component.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What bytes say of themselves.
pub(crate) fn inspect(bytes: &[u8], name: &str) -> Result<Inspection, DaemonError> {
    let inspection = host_plugin::inspect(bytes).map_err(|refusal| DaemonError::from(refusal.of(name)))?;
    Ok(inspection.or_named(name))
}

/// The slot of a component for which none was named: by its role, and its name after the role (`decoder-file` is for
/// `decoder.file`). `routed`: a decoder of a protocol needs no path, it gets one.
pub(crate) fn infer(inspection: &Inspection, probes: &[String], routed: bool) -> Result<Slot, DaemonError> {
    let refuse = |message: String, cure: String| Err(DaemonError::new(Step::Slot, message, cure));
    let name = &inspection.name;
    let [role] = inspection.roles.as_slice() else {
        let roles: Vec<String> = inspection.roles.iter().map(ToString::to_string).collect();
        return refuse(format!("{name} has more than one role: {}", roles.join(", ")), "name its slot with --slot".into());
    };
    let suffix = name.strip_prefix(&format!("{role}-")).unwrap_or(name);
    match role {
        Role::Sampler => Ok(Slot::Sampler),
        Role::Decoder if probes.iter().any(|probe| probe == suffix) => Ok(Slot::Decoder(suffix.to_owned())),
        Role::Decoder if routed && inspection.protocol && is_name(suffix) => Ok(Slot::Decoder(suffix.to_owned())),
        Role::Decoder => {
            let slots: Vec<String> = probes.iter().map(|probe| format!("decoder.{probe}")).collect();
            refuse(format!("no path is named after decoder {name}"), format!("name its slot with --slot: {}", slots.join(", ")))
        }
        Role::Enricher => format!("enricher.{suffix}")
            .parse()
            .or_else(|_| refuse(format!("{name:?} cannot name a slot"), "name its slot with --slot enricher.NAME".into())),
    }
}

/// Makes a generation. Compiling takes its time: call it where that may block.
pub(crate) fn compile(compiler: &Compiler, config: &Config, order: Order<'_>) -> Result<Generation, DaemonError> {
    let Order { slot, number, bytes, stem, config: plugin_config, compiled } = order;
    let inspection = inspect(&bytes, stem)?;
    if !inspection.roles.contains(&slot.role()) {
        let refusal = host_plugin::Refusal::OtherRole { wanted: slot.role(), exports: inspection.exports.clone() };
        return Err(refusal.of(&label(&inspection)).into());
    }
    let rules = Rules::of(config, &slot, &inspection)?;
    let is_own = plugins::digests().contains(&inspection.digest.0);
    if inspection.compiled.is_some() && !is_own {
        rules.answers_for(config, &inspection)?;
    }
    let component = match compiled {
        Some(compiled) => compiled,
        None => compiler.compile(&bytes, stem, &inspection, &rules.grants)?,
    };
    let signer = signer(config, &inspection);
    // What is packed in the binary is not kept unpacked as well.
    let bytes = (!is_own).then_some(bytes);
    let of_file = Arc::clone(&plugin_config);
    Ok(Generation { slot, number, bytes, component, config: plugin_config, of_file, rules, signer, record: Lock::default() })
}

/// The configuration that the file gives a component in a slot: None if it says nothing of the slot, or means another component.
/// `path` is where it was read from.
pub(crate) fn configured(config: &Config, slot: &Slot, inspection: &Inspection, path: Option<&Path>) -> Option<Json> {
    let plugin = config.plugins.get(slot).filter(|plugin| !plugin.config.is_empty())?;
    let named = plugin.component.clone().or_else(|| default_component(slot));
    let meant = named.is_none_or(|named| {
        let named = Path::new(&named);
        path.is_some_and(|path| path == named) || stem(named).replace('_', "-") == inspection.name.replace('_', "-")
    });
    meant.then(|| plugin.config.clone())
}

/// What is in a slot where the file names nothing, if there is such a component in the binary.
fn default_component(slot: &Slot) -> Option<String> {
    let named = match slot {
        Slot::Decoder(probe) => format!("decoder-{probe}"),
        Slot::Sampler | Slot::SamplerOf(_) => "sampler-ratio".into(),
        Slot::Enricher(name) => format!("enricher-{name}"),
    };
    plugins::component(&named).map(|_| named)
}

fn choice(config: &Config, slot: Slot) -> Choice {
    let plugin = config.plugins.get(&slot).cloned().unwrap_or_default();
    let component = plugin.component.or_else(|| default_component(&slot)).unwrap_or_else(|| match &slot {
        Slot::Enricher(name) => format!("enricher-{name}"),
        _ => ANY_RECORD.into(),
    });
    Choice { slot, component, config: plugin.config }
}

fn label(inspection: &Inspection) -> String {
    format!("{}@{}", inspection.name, inspection.version)
}
