//! `host plugin inspect FILE`: describes a component and its imports, without running any of it.

use std::path::Path;

use host_api::{Slot, SlotLimits};
use host_daemon::config::is_file;
use host_daemon::{from_slot_limits, to_slot_limits};
use host_model::Role;
use host_plugin::signature::PublicKey;
use host_plugin::{Inspection, Limits, Need, Refusal};
use serde::Serialize;

use super::{read, slot};
use crate::args::{Format, InspectArgs};
use crate::exit::{Code, Done, Failure};
use crate::output::{self, sheet};
use crate::printable::printable;

/// The description of a component.
#[derive(Debug, Serialize)]
struct Card {
    name: String,
    version: String,
    roles: Vec<Role>,
    /// Version of the contract that its roles use.
    contract: String,
    /// Whether it is a decoder of a protocol.
    protocol: bool,
    /// Whether it hands its state over to a successor.
    handover: bool,
    digest: String,
    /// The signer, if it has a valid signature.
    signer: Option<PublicKey>,
    size_bytes: u64,
    exports: Vec<String>,
    imports: Vec<Import>,
    /// Its limits if the configuration sets none.
    limits: SlotLimits,
}

/// One import, and its grant.
#[derive(Debug, Serialize)]
struct Import {
    name: String,
    /// The word that grants it; None if it needs no grant.
    grant: Option<&'static str>,
    /// Whether it is a WASI import that links but does nothing.
    empty: bool,
}

/// `host plugin inspect`
pub(super) async fn inspect(args: InspectArgs) -> Done {
    let on_disk = Path::new(&args.subject).exists() || is_file(&args.subject);
    match args.subject.parse::<Slot>() {
        Ok(slot) if !on_disk => slot::inspect(args, slot).await,
        _ => of_component(&args),
    }
}

/// Prints the description of a file, or of a component in this binary.
fn of_component(args: &InspectArgs) -> Done {
    let bytes = read(Path::new(&args.subject))?;
    let stem = Path::new(&args.subject).file_stem().unwrap_or_default().to_string_lossy();
    let inspection = host_plugin::inspect(&bytes).map_err(|refusal| refused(&args.subject, &refusal))?.or_named(&stem);
    let card = card(inspection, bytes.len() as u64).map_err(|refusal| refused(&args.subject, &refusal))?;
    match args.format.format {
        Format::Json => output::print_json(&card),
        Format::Table => output::print(&card.table()),
    }
}

pub(super) fn refused(subject: &str, refusal: &Refusal) -> Failure {
    Failure::new(Code::Refused, format!("plugin {subject}: {} failed: {refusal}", refusal.step())).cured_by(refusal.cure())
}

/// Describes a component; refuses it if it imports an interface that no host offers.
fn card(inspection: Inspection, size_bytes: u64) -> Result<Card, Refusal> {
    let mut imports = Vec::new();
    for name in &inspection.imports {
        let (grant, empty) = match host_plugin::need(name)? {
            Need::Free => (None, false),
            Need::Empty => (None, true),
            Need::Grant(word) => (Some(word), false),
        };
        imports.push(Import { name: name.clone(), grant, empty });
    }
    Ok(Card {
        name: inspection.name,
        version: inspection.version,
        roles: inspection.roles,
        contract: inspection.contract,
        protocol: inspection.protocol,
        handover: inspection.handover,
        digest: inspection.digest.to_string(),
        signer: inspection.signer,
        size_bytes,
        exports: inspection.exports,
        imports,
        limits: to_slot_limits(&Limits::default()),
    })
}

// === impl Card ===

impl Card {
    fn table(&self) -> String {
        let role = |role: &Role| match role {
            Role::Decoder if self.protocol => "decoder of a protocol".to_owned(),
            role => role.to_string(),
        };
        let roles: Vec<String> = self.roles.iter().map(role).collect();
        let import = |import: &Import| {
            let takes = match import.grant {
                Some(grant) => format!("takes the grant `{grant}`"),
                None if import.empty => "empty: it links, and there is nothing behind it".to_owned(),
                None => "free".to_owned(),
            };
            format!("{:<36}{takes}", import.name)
        };
        let imports: Vec<String> = self.imports.iter().map(import).collect();
        let text = sheet([
            ("name", self.name.clone()),
            ("version", self.version.clone()),
            ("role", roles.join(", ")),
            ("contract", format!("probe:plugin {}", self.contract)),
            ("handover", if self.handover { "yes" } else { "no" }.to_owned()),
            ("size", output::bytes(self.size_bytes)),
            ("digest", self.digest.clone()),
            ("signer", self.signer.map_or_else(|| "nobody: it is not signed".to_owned(), |signer| signer.to_string())),
            ("exports", self.exports.join("\n")),
            ("imports", if imports.is_empty() { "nothing".to_owned() } else { imports.join("\n") }),
            ("limits", slot::limits(&from_slot_limits(&self.limits))),
        ]);
        text + &self.cure()
    }

    /// Returns the lines of a configuration that grant its imports.
    fn cure(&self) -> String {
        let mut words: Vec<String> =
            self.imports.iter().filter_map(|import| import.grant).map(|word| format!("{word:?}")).collect();
        words.dedup();
        if words.is_empty() {
            return String::new();
        }
        let (digest, name, words) = (&self.digest, printable(&self.name), words.join(", "));
        let signer =
            self.signer.map(|key| format!("\n  # or signer = \"NAME\", for all of theirs, with NAME = \"{key}\" in [signers]"));
        format!(
            "\nto grant it that, in the configuration:\n  [[grants]]\n  digest = \"{digest}\"\n  \
             # or plugin = \"{name}\", for any version{}\n  allow = [{words}]\n",
            signer.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use host_model::Digest;

    use super::*;

    fn inspection(imports: &[&str]) -> Inspection {
        Inspection {
            roles: vec![Role::Enricher],
            protocol: false,
            handover: false,
            name: "enricher-pod".into(),
            version: "1.2.0".into(),
            digest: Digest([0; 32]),
            contract: "0.1.0".into(),
            imports: imports.iter().map(|name| (*name).to_owned()).collect(),
            exports: vec!["probe:plugin/enricher@0.1.0".into()],
            signer: None,
            compiled: None,
        }
    }

    #[test]
    fn a_card_says_which_lines_would_grant_what_is_imported() {
        let card = card(inspection(&["probe:plugin/log@0.1.0", "probe:plugin/tables@0.1.0"]), 49_152).unwrap();
        let zeros = "0".repeat(64);
        let expected = format!(
            "name      enricher-pod\nversion   1.2.0\nrole      enricher\ncontract  probe:plugin 0.1.0\nhandover  no\n\
             size      48.0 KiB\ndigest    sha256:{zeros}\nsigner    nobody: it is not signed\n\
             exports   probe:plugin/enricher@0.1.0\n\
             imports   probe:plugin/log@0.1.0              free\n\
             \x20         probe:plugin/tables@0.1.0           takes the grant `tables`\n\
             limits    deadlines.bind        1s\n"
        );
        let cure = format!(
            "\n\nto grant it that, in the configuration:\n  [[grants]]\n  digest = \"sha256:{zeros}\"\n  \
             # or plugin = \"enricher-pod\", for any version\n  allow = [\"tables\"]\n"
        );
        let text = card.table();
        assert!(text.starts_with(&expected) && text.ends_with(&cure), "{text}");
    }

    #[test]
    fn the_lines_that_grant_are_a_configuration() {
        let card = card(inspection(&["probe:plugin/tables@0.1.0", "probe:plugin/clock@0.1.0"]), 1).unwrap();
        let cure = card.cure();
        let (_, lines) = cure.split_once(":\n").unwrap();
        let config = host_daemon::Config::parse(Path::new("host.toml"), lines).unwrap();
        assert_eq!(config.grants[0].allow, ["tables", "clock"]);
    }

    #[test]
    fn what_is_of_wasi_links_and_is_empty() {
        let card = card(inspection(&["wasi:cli/environment@0.2.6"]), 1).unwrap();
        assert!(card.table().contains("wasi:cli/environment@0.2.6          empty: it links"), "{}", card.table());
        assert!(card.cure().is_empty());
    }

    #[test]
    fn a_signer_is_named_and_could_be_granted_to() {
        let key: PublicKey = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse().unwrap();
        let mut inspection = inspection(&["probe:plugin/clock@0.1.0"]);
        inspection.signer = Some(key);
        let text = card(inspection, 1).unwrap().table();
        assert!(text.contains(&format!("signer    {key}\n")) && text.contains("# or signer = \"NAME\""), "{text}");
    }

    #[test]
    fn an_import_that_no_host_offers_is_a_refusal() {
        assert!(matches!(card(inspection(&["acme:files/open@0.1.0"]), 1), Err(Refusal::UnknownImport(_))));
    }
}
