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

/// A component with the slot, number and configuration that it is to get.
pub(crate) struct Order<'a> {
    pub(crate) slot: Slot,
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
    /// Its name if its bytes give none.
    pub(crate) stem: &'a str,
    pub(crate) config: Arc<Json>,
    /// The same component, if already compiled.
    pub(crate) compiled: Option<Component>,
}

/// The component and configuration that the file sets for a slot.
pub(crate) struct Choice {
    pub(crate) slot: Slot,
    /// The name of a component in the binary, or a file.
    pub(crate) component: String,
    pub(crate) config: Json,
}

/// The slots that hold a plugin by default.
const DEFAULTS: [&str; 2] = ["sampler", ENRICHER];
/// A decoder for any record, used for probes without a decoder of their own.
const ANY_RECORD: &str = "decoder-btf";

/// Returns the plugins of all paths, in the order of the configuration; defaults that it does not name come first. A slot with rules but
/// without a component in the file or in the binary stays empty until a plugin is loaded into it.
pub(crate) fn choices(config: &Config) -> Vec<Choice> {
    let defaults = DEFAULTS.iter().filter_map(|slot| slot.parse().ok()).filter(|slot| config.plugins.get(slot).is_none());
    let waits = waiting(config);
    let named = config
        .plugins
        .iter()
        .filter(|(slot, plugin)| plugin.enabled != Some(false) && slot.role() != Role::Decoder && !waits.contains(slot));
    defaults.chain(named.map(|(slot, _)| slot.clone())).map(|slot| choice(config, slot)).collect()
}

/// Returns the slots with rules but without a component in the file or in the binary. They are empty at the start.
pub(crate) fn waiting(config: &Config) -> Vec<&Slot> {
    let waits = |slot: &Slot, plugin: &PluginConfig| {
        matches!(slot, Slot::Enricher(_))
            && plugin.component.is_none()
            && plugin.enabled.is_none()
            && default_component(slot).is_none()
    };
    config.plugins.iter().filter(|(slot, plugin)| waits(slot, plugin)).map(|(slot, _)| slot).collect()
}

/// Returns the decoder of a probe.
pub(crate) fn decoder(config: &Config, probe: &str) -> Choice {
    choice(config, Slot::Decoder(probe.to_owned()))
}

/// Reads a component by its name in the binary, or from a file.
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

/// Decodes the component in a request.
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

/// Returns the component in the binary that a misspelt name probably means: names share long prefixes.
#[must_use]
pub fn meant(name: &str) -> Option<&'static str> {
    config::nearest(name, plugins::COMPONENTS.iter().map(|component| component.name), 0.9)
}

/// Keeps the plugins in the binary unpacked until dropped, for callers that read more than one of them.
#[must_use]
pub(crate) fn unpacked(execution: Execution) -> impl Sized {
    plugins::COMPONENTS.first().map(|any| any.code(execution == Execution::Interpreted))
}

/// Returns the name of a component whose bytes give none: the file's name without `.wasm`.
pub(crate) fn stem(component: &Path) -> String {
    component.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads name, version, role and imports from the bytes.
pub(crate) fn inspect(bytes: &[u8], name: &str) -> Result<Inspection, DaemonError> {
    let inspection = host_plugin::inspect(bytes).map_err(|refusal| DaemonError::from(refusal.of(name)))?;
    Ok(inspection.or_named(name))
}

/// Returns the slot of a component if none was named, from its role, and its name after the role (`decoder-file` is for `decoder.file`).
/// `routed`: the decoder of a protocol needs no existing path, it gets one.
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

/// Makes a generation. Compiling takes long: call it where blocking is allowed.
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
    // The bytes of a component packed in the binary are not kept a second time.
    let bytes = (!is_own).then_some(bytes);
    let of_file = Arc::clone(&plugin_config);
    Ok(Generation { slot, number, bytes, component, config: plugin_config, of_file, rules, signer, record: Lock::default() })
}

/// Returns the configuration that the file sets for a component in a slot: None if it has none for the slot, or names another component.
/// `path` is the source of the component.
pub(crate) fn configured(config: &Config, slot: &Slot, inspection: &Inspection, path: Option<&Path>) -> Option<Json> {
    let plugin = config.plugins.get(slot).filter(|plugin| !plugin.config.is_empty())?;
    let named = plugin.component.clone().or_else(|| default_component(slot));
    let meant = named.is_none_or(|named| {
        let named = Path::new(&named);
        path.is_some_and(|path| path == named) || stem(named).replace('_', "-") == inspection.name.replace('_', "-")
    });
    meant.then(|| plugin.config.clone())
}

/// Returns the default component of a slot, if the binary has one.
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
