//! Grants by the identity of a component: its name, the digest of its bytes, or its signer.

use host_plugin::{Grants, NATIVE_CODE};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Config, ConfigError};

/// What a component may import, wherever it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct GrantConfig {
    /// Whose grant it is.
    pub to: Grantee,
    /// Words as in the `grants` of a slot.
    pub allow: Vec<String>,
}

/// The component that a grant is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// Every component of this name. A name proves nothing: it is for operators who decide what is loaded.
    Plugin(String),
    /// The component with this digest: `sha256:` and 64 hexadecimal digits, lower case.
    Digest(String),
    /// Every component with a valid signature of this name in `[signers]`.
    Signer(String),
}

/// As it stands in the file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "GrantConfig")]
struct Written {
    /// Every component that calls itself so.
    plugin: Option<String>,
    /// The component with this digest: `sha256:` and 64 hexadecimal digits.
    digest: Option<String>,
    /// Every component with a valid signature of this name in `[signers]`.
    signer: Option<String>,
    /// Words as in the `grants` of a slot: `clock`, `random`, `tables`, `maps:NAME:rw`. And `native-code`, to a digest or a signer:
    /// compiled plugins of theirs are run, which no sandbox holds back.
    allow: Vec<String>,
}

// === impl GrantConfig ===

impl TryFrom<Written> for GrantConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { plugin, digest, signer, allow } = written;
        let to = match (plugin, digest, signer) {
            (Some(name), None, None) => Grantee::Plugin(name),
            (None, Some(text), None) => Grantee::Digest(digest_of(&text)?),
            (None, None, Some(name)) => Grantee::Signer(name),
            _ => return Err("exactly one of `plugin`, `digest` and `signer` says whose grant this is".into()),
        };
        let granted = Grants::parse(&allow).map_err(|error| error.to_string())?;
        if granted.native_code && matches!(to, Grantee::Plugin(_)) {
            return Err(format!("`{NATIVE_CODE}` is granted to a `digest` or a `signer`: a name proves nothing"));
        }
        Ok(Self { to, allow })
    }
}

/// Returns a digest in its usual form, `sha256:` and 64 hexadecimal digits, lower case. The prefix may be left out.
///
/// # Errors
/// What the text is instead.
pub(crate) fn digest_of(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(format!("sha256:{}", digits.to_ascii_lowercase()));
    }
    let shown = host_model::printable(text, 80);
    Err(format!("`{shown}` is not a digest; write `sha256:` and 64 hexadecimal digits, as `host plugin inspect` shows it"))
}

// === impl Config ===

impl Config {
    /// Checks that every signer with a grant is known.
    pub(super) fn check_signers(&self) -> Result<(), ConfigError> {
        for (index, grant) in self.grants.iter().enumerate() {
            if let Grantee::Signer(name) = &grant.to
                && !self.signers.contains_key(name)
            {
                let message = format!("there is no `{name}` in [signers]; add `{name} = \"<public key>\"` there");
                return Err(ConfigError::Value { key: format!("grants[{index}].signer"), message });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const KEY: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn grants(text: &str) -> Result<Vec<GrantConfig>, String> {
        Config::parse(Path::new("host.toml"), text).map(|config| config.grants).map_err(|error| error.to_string())
    }

    #[test]
    fn a_grant_is_to_exactly_one() {
        let ok = grants("[[grants]]\nplugin = \"a\"\nallow = [\"clock\"]").unwrap();
        assert_eq!(ok, [GrantConfig { to: Grantee::Plugin("a".into()), allow: vec!["clock".into()] }]);
        for text in ["allow = []", "plugin = \"a\"\nsigner = \"b\"\nallow = []"] {
            let error = grants(&format!("[[grants]]\n{text}")).unwrap_err();
            assert!(error.starts_with("host.toml:1:") && error.contains("exactly one of"), "{error}");
        }
    }

    #[test]
    fn a_word_that_grants_nothing_and_an_unknown_key_are_told_with_their_line() {
        let error = grants("\n[[grants]]\nplugin = \"a\"\nallow = [\"clocks\"]").unwrap_err();
        assert!(error.starts_with("host.toml:2:") && error.contains("`clocks` is not a grant"), "{error}");
        let error = grants("[[grants]]\nplugn = \"a\"\n").unwrap_err();
        assert!(error.starts_with("host.toml:2:1: ") && error.contains("did you mean `plugin`?"), "{error}");
    }

    #[test]
    fn native_code_is_granted_to_who_can_be_proven() {
        let to = |whose: &str| grants(&format!("signers.us = \"{KEY}\"\n[[grants]]\n{whose}\nallow = [\"native-code\"]"));
        assert!(to("signer = \"us\"").is_ok() && to(&format!("digest = \"{}\"", "ab".repeat(32))).is_ok());
        assert!(to("plugin = \"a\"").unwrap_err().contains("a name proves nothing"));
        let slot = grants("[plugins.sampler]\ngrants = [\"native-code\"]").unwrap_err();
        assert!(slot.starts_with("plugins.sampler.grants: ") && slot.contains("[[grants]]"), "{slot}");
    }

    #[test]
    fn a_digest_is_read_in_any_case_and_a_short_one_is_refused() {
        let digits = "AB".repeat(32);
        let grant = grants(&format!("[[grants]]\ndigest = \"{digits}\"\nallow = []")).unwrap();
        assert_eq!(grant[0].to, Grantee::Digest(format!("sha256:{}", "ab".repeat(32))));
        assert!(grants("[[grants]]\ndigest = \"sha256:ab\"\n").unwrap_err().contains("is not a digest"));
    }

    #[test]
    fn what_is_no_public_key_is_told_with_its_line() {
        let error = grants("[signers]\nus = \"ssh-ed25519 AAAA\"\n").unwrap_err();
        assert!(error.starts_with("host.toml:2:6: signers.us: "), "{error}");
    }

    #[test]
    fn a_signer_that_nobody_knows_is_told_what_to_add() {
        let error = grants("[[grants]]\nsigner = \"us\"\nallow = [\"clock\"]").unwrap_err();
        assert_eq!(error, "grants[0].signer: there is no `us` in [signers]; add `us = \"<public key>\"` there");
    }
}
