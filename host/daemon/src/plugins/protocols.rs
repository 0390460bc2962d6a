//! The protocols that are looked for on connections: those in the binary, and those whose decoder was put into a slot.

use std::path::Path;
use std::sync::OnceLock;

use host_api::{Slot, Step};
use host_model::Layout;
use host_plugin::Execution;
use host_router::TRUNK_RECORD;

use crate::config::Config;
use crate::error::DaemonError;
use crate::plugins::load::{self, Choice};

/// Prefix of the names of decoders in the binary.
const DECODER: &str = "decoder-";

/// Whether records of this layout are those of connections, which are routed before they are decoded.
pub(crate) fn is_trunk(layout: &Layout) -> bool {
    layout.name == TRUNK_RECORD
}

/// Returns the protocols whose decoders are in the binary, in its order. `execution` is how this host runs plugins: their code has to be
/// unpacked for it anyway.
fn bundled(execution: Execution) -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let protocols = plugins::COMPONENTS.iter().map(|component| component.name).filter(|name| speaks(Some(name), execution));
        protocols.filter_map(|name| name.strip_prefix(DECODER)).collect()
    })
}

/// Returns the decoders of all protocols to look for. `probes` are those with a path of their own: a decoder in a slot of that name reads
/// their records.
pub(crate) fn choices(config: &Config, probes: &[&str], execution: Execution) -> Result<Vec<Choice>, DaemonError> {
    let bundled = bundled(execution);
    let mut names: Vec<String> = match &config.protocols.enabled {
        Some(enabled) => enabled.clone(),
        None => bundled.iter().map(ToString::to_string).collect(),
    };
    for name in &names {
        let own = config.plugins.get(&Slot::Decoder(name.clone())).is_some_and(|plugin| plugin.component.is_some());
        if !own && !bundled.contains(&name.as_str()) {
            let cure = format!(
                "in the binary are {}; one of your own needs `component` in [plugins.\"decoder.NAME\"]",
                bundled.join(", ")
            );
            let message = format!("protocols.enabled: there is no decoder of protocol `{name}`");
            return Err(DaemonError::new(Step::Configure, message, cure));
        }
    }
    for (slot, plugin) in config.plugins.iter() {
        let Slot::Decoder(name) = slot else { continue };
        if plugin.enabled == Some(false) {
            names.retain(|other| other != name);
        } else if !names.contains(name) && speaks(plugin.component.as_deref(), execution) {
            names.push(name.clone());
        }
    }
    for (port, protocol) in &config.protocols.ports {
        if !names.contains(protocol) {
            let cure = format!("protocols that are looked for are {}", names.join(", "));
            let message = format!("protocols.ports: port {port} is pinned to `{protocol}`, which nobody decodes");
            return Err(DaemonError::new(Step::Configure, message, cure));
        }
    }
    names.retain(|name| !probes.contains(&name.as_str()));
    Ok(names.iter().map(|name| load::decoder(config, name)).collect())
}

/// Whether this component decodes a protocol. False if it cannot be read; loading it reports why.
fn speaks(component: Option<&str>, execution: Execution) -> bool {
    let bytes = component.and_then(|component| load::read(Path::new(component), execution).ok());
    bytes.is_some_and(|bytes| host_plugin::inspect(&bytes).is_ok_and(|inspection| inspection.protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Result<Vec<String>, DaemonError> {
        let config = Config::parse(Path::new("host.toml"), text).unwrap();
        Ok(choices(&config, &["file"], Execution::Native)?.into_iter().map(|choice| choice.slot.to_string()).collect())
    }

    #[test]
    fn without_a_word_all_protocols_in_the_binary_are_looked_for() {
        let bundled = bundled(Execution::Native);
        let all: Vec<String> = bundled.iter().map(|name| format!("decoder.{name}")).collect();
        assert_eq!(chosen("").unwrap(), all);
        assert!(bundled.contains(&"http") && !bundled.contains(&"file"), "{bundled:?}");
    }

    #[test]
    fn some_of_them_or_none_may_be_enabled() {
        assert_eq!(chosen("[protocols]\nenabled = [\"http\"]").unwrap(), ["decoder.http"]);
        assert!(chosen("[protocols]\nenabled = []").unwrap().is_empty());
        assert!(!chosen("[plugins.\"decoder.http\"]\nenabled = false").unwrap().contains(&"decoder.http".to_owned()));
    }

    #[test]
    fn what_nobody_decodes_is_refused_with_those_there_are() {
        let refusal = chosen("[protocols]\nenabled = [\"htpp\"]").unwrap_err();
        assert!(refusal.to_string().contains("`htpp`") && refusal.cure().contains("http"), "{refusal:?}");
        let refusal = chosen("[protocols]\nenabled = [\"http\"]\nports = { 1 = \"redis\" }").unwrap_err();
        assert!(refusal.to_string().contains("port 1") && refusal.cure().contains("http"), "{refusal:?}");
    }
}
