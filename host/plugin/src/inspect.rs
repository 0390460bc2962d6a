//! Reads role, name, version and imports of a component from its bytes, before anything is compiled.

use host_model::{Digest, Role, printable};
use sha2::Digest as _;
use wasmparser::{ComponentName, ComponentNameSectionReader, Encoding, KnownCustom, Parser, Payload};

use crate::compiled::{LABEL_SECTION, Label};
use crate::inspection::{Compiled, IDENTITY, Inspection, UNNAMED};
use crate::refusal::Refusal;
use crate::sections::{damaged, recognise};
use crate::signature;
use crate::version::interface;

/// The custom section that carries a plugin's `name NUL version`.
pub const IDENTITY_SECTION: &str = "probe:plugin";

/// Reads the metadata of a component.
///
/// # Errors
/// The bytes are not a component, are damaged, have no known role, use another version of the contract, or have a signature that is not
/// valid for them.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Refusal> {
    recognise(bytes)?;
    let mut found = Found::default();
    for payload in Parser::new(0).parse_all(bytes) {
        found.take(payload.map_err(damaged)?)?;
    }
    let compiled = found.label.take().map(|label| found.of(label)).transpose()?;
    let mut roles = Vec::new();
    let (mut protocol, mut handover, mut contract) = (false, false, String::new());
    for name in &found.exports {
        let Some((interface, version)) = interface(name)? else { continue };
        let role = match interface {
            "decoder" => Role::Decoder,
            "sampler" => Role::Sampler,
            "enricher" => Role::Enricher,
            "protocol" => {
                protocol = true;
                continue;
            }
            "handover" => {
                handover = true;
                continue;
            }
            _ => continue,
        };
        roles.push(role);
        contract = printable(version, 32);
    }
    if roles.is_empty() {
        return Err(Refusal::NoRole(found.exports));
    }
    for name in &found.imports {
        interface(name)?;
    }
    found.imports.retain(|name| !holds_only_types(name));
    let (name, version) = found.identity.or(found.component_name.map(|name| (name, String::new()))).unwrap_or_default();
    let version = if version.is_empty() { found.version.unwrap_or_default() } else { version };
    Ok(Inspection {
        protocol: protocol && roles.contains(&Role::Decoder),
        roles,
        handover,
        name: if name.is_empty() { UNNAMED.into() } else { name },
        version: if version.is_empty() { "0.0.0".into() } else { version },
        digest: Digest(sha2::Sha256::digest(bytes).into()),
        contract,
        imports: found.imports,
        exports: found.exports,
        signer: signature::verify(bytes)?,
        compiled,
    })
}

/// The parts of a component read so far.
#[derive(Default)]
struct Found {
    /// Nesting depth: 0 in the component itself, more within nested modules and components.
    depth: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    identity: Option<(String, String)>,
    component_name: Option<String>,
    version: Option<String>,
    /// The label, if it is a compiled plugin.
    label: Option<Label>,
}

/// Maximum length of an import's or export's name, in bytes; the rest is cut.
const NAME: usize = 128;
/// Maximum number of imports, and of exports that are stored. A component of wit/v0.1 with all of WASI has about fifty.
const NAMES: usize = 256;

// === impl Found ===

impl Found {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if self.depth == 0 => return Err(Refusal::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if self.depth == 0 => {
                // Every import is compared with the grants, so none may be left out.
                if self.imports.len() + section.count() as usize > NAMES {
                    return Err(Refusal::TooManyImports(NAMES));
                }
                for import in section {
                    self.imports.push(printable(&import.map_err(damaged)?.name.full_name(), NAME));
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 0 => {
                for export in section.into_iter().take(NAMES) {
                    self.exports.push(printable(&export.map_err(damaged)?.name.full_name(), NAME));
                }
            }
            Payload::CustomSection(section) if section.name() == IDENTITY_SECTION && self.identity.is_none() => {
                let text = String::from_utf8_lossy(section.data());
                let (name, version) = text.split_once('\0').unwrap_or((&text, ""));
                self.identity = Some((printable(name, IDENTITY), printable(version, IDENTITY)));
            }
            Payload::CustomSection(section) if section.name() == LABEL_SECTION && self.depth == 0 => {
                let label = serde_json::from_slice(section.data());
                self.label = Some(
                    label.map_err(|error| Refusal::Compiled(format!("is damaged: {}", printable(&error.to_string(), 200))))?,
                );
            }
            Payload::CustomSection(section) if section.name() == "version" && self.depth == 0 => {
                self.version = Some(printable(&String::from_utf8_lossy(section.data()), IDENTITY));
            }
            Payload::CustomSection(section) if self.depth == 0 => {
                if let KnownCustom::ComponentName(names) = section.as_known() {
                    self.component_name = component_name(names);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes names and identity from the label of a compiled plugin; its own bytes have none.
    fn of(&mut self, label: Label) -> Result<Compiled, Refusal> {
        let Label { target, source, name, version, imports, exports } = label;
        if imports.len() > NAMES {
            return Err(Refusal::TooManyImports(NAMES));
        }
        let names = |names: Vec<String>| names.iter().map(|name| printable(name, NAME)).collect::<Vec<_>>();
        *self = Self {
            imports: names(imports),
            exports: names(exports).into_iter().take(NAMES).collect(),
            identity: Some((printable(&name, IDENTITY), printable(&version, IDENTITY))),
            ..Self::default()
        };
        Ok(Compiled { target: printable(&target, IDENTITY), source: printable(&source, NAME) })
    }
}

fn component_name(names: ComponentNameSectionReader<'_>) -> Option<String> {
    names.into_iter().find_map(|name| match name.ok()? {
        ComponentName::Component { name, .. } => Some(printable(name, IDENTITY)),
        _ => None,
    })
}

/// Whether an interface of the contract needs nothing from the host.
fn holds_only_types(name: &str) -> bool {
    matches!(interface(name), Ok(Some(("columns" | "schema" | "layout", _))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_called_by_its_name() {
        assert_eq!(inspect(b""), Err(Refusal::Empty));
        assert!(inspect(b"\x7fELF\x02\x01").unwrap_err().to_string().contains("ELF"));
        assert!(inspect(b"#!/bin/sh").unwrap_err().to_string().contains("a script"));
        assert!(matches!(inspect(b"hello world"), Err(Refusal::NotWasm(_))));
    }

    #[test]
    fn a_core_module_is_refused_with_the_command_that_makes_a_component() {
        let refusal = inspect(b"\0asm\x01\0\0\0").unwrap_err();
        assert_eq!(refusal, Refusal::CoreModule);
        assert!(refusal.cure().contains("wasm-tools component new"));
    }

    #[test]
    fn an_empty_component_has_no_role() {
        assert_eq!(inspect(b"\0asm\x0d\0\x01\0"), Err(Refusal::NoRole(Vec::new())));
    }

    #[test]
    fn an_import_cannot_hide_behind_others() {
        // An instance without exports, imported under more names than the maximum.
        let mut component = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0".to_vec();
        let names = (0..=NAMES).map(|number| format!("probe:plugin/log@0.1.{number}"));
        let imports: Vec<u8> = names.flat_map(|name| [&[0, name.len() as u8], name.as_bytes(), &[5, 0]].concat()).collect();
        let leb = |number: usize| [number as u8 | 0x80, (number >> 7) as u8];
        let content = [&leb(NAMES + 1)[..], &imports].concat();
        component.push(10);
        component.extend_from_slice(&leb(content.len()));
        component.extend_from_slice(&content);
        assert_eq!(inspect(&component), Err(Refusal::TooManyImports(NAMES)));
    }

    #[test]
    fn four_bytes_of_a_component_are_damaged() {
        assert!(matches!(inspect(b"\0asm"), Err(Refusal::Damaged { .. })));
    }
}
