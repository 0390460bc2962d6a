//! The grants and limits of a component in a slot: those of the slot, and those granted to the component itself.

use host_api::{OnFaults, Slot, Step};
use host_model::Fallback;
use host_plugin::{Grants, Inspection, Limits, NATIVE_CODE};

use crate::config::{Config, Grantee, PluginConfig};
use crate::error::DaemonError;

/// The rules for one component in one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) grants: Grants,
    /// The grants in the words of the configuration.
    pub(crate) words: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) fallback: Fallback,
    pub(crate) on_faults: OnFaults,
}

/// The slot that is granted the tables by default.
pub(crate) const ENRICHER: &str = "enricher.process";

// === impl Rules ===

impl Rules {
    /// Returns the configured rules. A component that imports more than its grants is refused, with the lines to add.
    pub(crate) fn of(config: &Config, slot: &Slot, inspection: &Inspection) -> Result<Self, DaemonError> {
        let unset = PluginConfig::default();
        let plugin = config.plugins.get(slot).unwrap_or(&unset);
        let words = words(config, slot, plugin, inspection);
        let grants = parse(slot, &words)?;
        grants.check(inspection).map_err(|refusal| match refusal {
            host_plugin::Refusal::NotGranted { grants, .. } => not_granted(config, inspection, &grants),
            other => DaemonError::from(other.of(&inspection.label())),
        })?;
        let limits = Limits { quarantine: plugin.quarantine(), ..plugin.limits.over(&config.limits).limits() }.bounded();
        let fallback = plugin.fallback.map_or_else(Fallback::default, Fallback::from);
        Ok(Self { grants, words, limits, fallback, on_faults: plugin.on_faults.unwrap_or_default() })
    }

    /// Checks that the operator vouches for the code of a compiled plugin; if not, refuses it with the lines to add.
    pub(crate) fn answers_for(&self, config: &Config, inspection: &Inspection) -> Result<(), DaemonError> {
        if self.grants.native_code {
            return Ok(());
        }
        let label = inspection.label();
        let signed = match signer(config, inspection) {
            Some(name) => format!("signed by {name}"),
            None => "not signed".to_owned(),
        };
        let message = format!(
            "plugin {label}: grant failed: it is compiled code, which no sandbox holds back; it is {signed}, and nobody answers for it"
        );
        let known = signer(config, inspection).filter(|name| config.signers.contains_key(name));
        let whose = match known {
            Some(name) => format!("signer = \"{name}\"  # or this file alone: digest = \"{}\"", inspection.digest),
            None => format!("digest = \"{}\"  # or signer = \"NAME\", with its key in [signers]", inspection.digest),
        };
        let cure =
            format!("if you trust who compiled it, add to host.toml:\n\n[[grants]]\n{whose}\nallow = [\"{NATIVE_CODE}\"]\n");
        Err(DaemonError::new(Step::Grant, message, cure))
    }
}

/// Returns the words of the slot, then those of every matching entry of `[[grants]]`; each once.
fn words(config: &Config, slot: &Slot, plugin: &PluginConfig, inspection: &Inspection) -> Vec<String> {
    let by_default: &[&str] = if slot.to_string() == ENRICHER { &["tables"] } else { &[] };
    let of_slot: Vec<String> = match &plugin.grants {
        Some(words) => words.clone(),
        None => by_default.iter().map(ToString::to_string).collect(),
    };
    let means = |to: &Grantee| match to {
        Grantee::Plugin(name) => *name == inspection.name,
        Grantee::Digest(digest) => *digest == inspection.digest.to_string(),
        Grantee::Signer(name) => inspection.signer.is_some() && config.signers.get(name).copied() == inspection.signer,
    };
    let of_component = config.grants.iter().filter(|grant| means(&grant.to)).flat_map(|grant| grant.allow.iter().cloned());
    let mut words: Vec<String> = Vec::new();
    for word in of_slot.into_iter().chain(of_component) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn parse(slot: &Slot, words: &[String]) -> Result<Grants, DaemonError> {
    Grants::parse(words)
        .map_err(|error| DaemonError::new(Step::Configure, format!("grants of {slot}: {error}"), "correct the grant"))
}

/// Returns the refusal: the missing grants, and the lines that grant them, which may be appended to any configuration.
fn not_granted(config: &Config, inspection: &Inspection, missing: &[&str]) -> DaemonError {
    let label = inspection.label();
    let signed = signer(config, inspection).filter(|name| config.signers.contains_key(name));
    let signed = signed.map(|name| format!(", or signer = \"{name}\"")).unwrap_or_default();
    let message = format!("plugin {label}: grant failed: it imports {}, which it is not granted", list(missing, "`"));
    let cure = format!(
        "add to host.toml:\n\n[[grants]]\ndigest = \"{}\"  # for any version: plugin = \"{}\"{signed}\nallow = [{}]\n",
        inspection.digest,
        inspection.name,
        list(missing, "\"")
    );
    DaemonError::new(Step::Grant, message, cure)
}

fn list(words: &[&str], quote: &str) -> String {
    words.iter().map(|word| format!("{quote}{word}{quote}")).collect::<Vec<_>>().join(", ")
}

/// Returns the signer of a component: a name of `[signers]`, or else the public key.
pub(crate) fn signer(config: &Config, inspection: &Inspection) -> Option<String> {
    let signer = inspection.signer?;
    let name = config.signers.iter().find(|(_, key)| **key == signer).map(|(name, _)| name.clone());
    Some(name.unwrap_or_else(|| signer.to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use host_plugin::signature::{self, PrivateKey};

    use super::*;

    fn enricher() -> Inspection {
        host_plugin::inspect(plugins::component("enricher-process").unwrap().bytes).unwrap()
    }

    fn rules(text: &str, slot: &str) -> Result<Rules, DaemonError> {
        let config = Config::parse(Path::new("host.toml"), text).unwrap();
        Rules::of(&config, &slot.parse().unwrap(), &enricher())
    }

    #[test]
    fn what_is_missing_is_refused_with_lines_that_grant_it() {
        let refusal = rules("", "enricher.other").unwrap_err();
        assert_eq!(refusal.step(), Step::Grant);
        assert!(refusal.to_string().contains("`tables`"), "{refusal:?}");
        let cure = refusal.cure();
        let lines = cure.strip_prefix("add to host.toml:\n").unwrap();
        assert_eq!(rules(lines, "enricher.other").unwrap().words, ["tables"]);
        let by_name = lines.replace(&format!("digest = \"{}\"  # for any version: ", enricher().digest), "");
        assert_eq!(rules(&by_name, "enricher.other").unwrap().words, ["tables"]);
    }

    #[test]
    fn a_grant_to_a_signer_holds_for_what_that_one_has_signed() {
        let (ours, theirs) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let text = format!("[signers]\nus = \"{}\"\n[[grants]]\nsigner = \"us\"\nallow = [\"tables\"]", ours.public());
        let config = Config::parse(Path::new("host.toml"), &text).unwrap();
        let slot = "enricher.other".parse().unwrap();
        let signed = |key| {
            let bytes = signature::sign(plugins::component("enricher-process").unwrap().bytes, key).unwrap();
            host_plugin::inspect(&bytes).unwrap()
        };
        assert_eq!(Rules::of(&config, &slot, &signed(&ours)).unwrap().words, ["tables"]);
        assert_eq!(signer(&config, &signed(&ours)).as_deref(), Some("us"));
        assert!(Rules::of(&config, &slot, &signed(&theirs)).is_err());
        assert_eq!(signer(&config, &signed(&theirs)), Some(theirs.public().to_string()));
        assert!(Rules::of(&config, &slot, &enricher()).is_err(), "unsigned");
    }

    #[test]
    fn a_grant_to_somebody_else_grants_nothing() {
        let text = format!(
            "[[grants]]\nplugin = \"enricher-processes\"\nallow = [\"tables\"]\n[[grants]]\ndigest = \"{}\"\nallow = [\"tables\"]",
            "0".repeat(64)
        );
        assert_eq!(rules(&text, "enricher.other").unwrap_err().step(), Step::Grant);
    }

    #[test]
    fn grants_of_the_slot_and_of_the_component_add_up() {
        let text = "[plugins.\"enricher.other\"]\ngrants = [\"clock\", \"tables:process\"]\n[[grants]]\nplugin = \"enricher-process\"\nallow = [\"clock\", \"tables:user\"]";
        assert_eq!(rules(text, "enricher.other").unwrap().words, ["clock", "tables:process", "tables:user"]);
        assert_eq!(rules("", ENRICHER).unwrap().words, ["tables"], "without a word of the configuration");
    }
}
