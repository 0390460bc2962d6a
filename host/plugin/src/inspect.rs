//! What a component says of itself, read from its bytes before anything is compiled.

use std::sync::Arc;

use host_model::{Digest, PluginId, Role, printable};
use sha2::Digest as _;
use wasmparser::{ComponentName, ComponentNameSectionReader, Encoding, KnownCustom, Parser, Payload};

use crate::compiled::{Compiled, LABEL_SECTION, Label};
use crate::limits::LARGEST_COMPONENT;
use crate::refusal::Refusal;
use crate::signature::{self, PublicKey};
use crate::version::interface;

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What it can do; at least one.
    pub roles: Vec<Role>,
    /// Whether it decodes a protocol: its records are those of the connections that speak it.
    pub protocol: bool,
    /// Whether it hands its state to a successor.
    pub handover: bool,
    /// Its name: from its `probe:plugin` section, else the component's own name, else `unnamed`.
    pub name: String,
    /// Its version, from the same place; `0.0.0` if it has none.
    pub version: String,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Version of the contract: that of its roles.
    pub contract: String,
    /// The interfaces it imports, as they are named in the component. Interfaces that only hold types are left out.
    pub imports: Vec<String>,
    /// The interfaces it exports.
    pub exports: Vec<String>,
    /// Who signed it; None if nobody did. One that carries a wrong signature is not inspected but refused.
    pub signer: Option<PublicKey>,
    /// What it was compiled for, if the bytes are code and not a component.
    pub compiled: Option<Compiled>,
}

/// The custom section that carries a plugin's `name NUL version`.
pub const IDENTITY_SECTION: &str = "probe:plugin";

/// What a component without any name is called.
pub const UNNAMED: &str = "unnamed";

/// Reads what a component says of itself.
///
/// # Errors
/// The bytes are not a component, are damaged, have no known role, speak another version of the contract, or are not those
/// that were signed.
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

/// What has been seen of a component so far.
#[derive(Default)]
struct Found {
    /// 0 in the component itself, more within nested modules and components.
    depth: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    identity: Option<(String, String)>,
    component_name: Option<String>,
    version: Option<String>,
    /// Of a compiled plugin.
    label: Option<Label>,
}

/// Bytes of an import's or export's name that are kept.
const NAME: usize = 128;
/// Bytes of a plugin's name and of its version that are kept.
const IDENTITY: usize = 64;
/// Imports that a component may have, and exports that are kept. One of wit/v0.1 with all of WASI has about fifty.
const NAMES: usize = 256;

// === impl Inspection ===

impl Inspection {
    /// `name@version`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Named after its file, if it has no name of its own.
    #[must_use]
    pub fn or_named(mut self, stem: &str) -> Self {
        let stem = printable(stem, IDENTITY);
        if self.name == UNNAMED && !stem.is_empty() {
            self.name = stem;
        }
        self
    }

    /// Its identity in a slot.
    #[must_use]
    pub fn id(&self, slot: &str, generation: u64) -> PluginId {
        PluginId {
            slot: Arc::from(slot),
            name: Arc::from(self.name.as_str()),
            version: Arc::from(self.version.as_str()),
            digest: self.digest,
            generation,
        }
    }
}

// === impl Found ===

impl Found {
    fn take(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if self.depth == 0 => return Err(Refusal::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => self.depth += 1,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if self.depth == 0 => {
                // All of them are compared with what is granted: none may be left out.
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

    /// Takes what a compiled plugin says that its component said; its own bytes say nothing.
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

/// Interfaces of the contract that need nothing from the host.
fn holds_only_types(name: &str) -> bool {
    matches!(interface(name), Ok(Some(("columns" | "schema" | "layout", _))))
}

pub(crate) fn recognise(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes {
        [] => Err(Refusal::Empty),
        _ if bytes.len() > LARGEST_COMPONENT => Err(Refusal::TooLarge(bytes.len())),
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        [0x7f, b'E', b'L', b'F', ..] => Err(Refusal::NotWasm("an ELF file (an executable, a BPF object or compiled wasm)")),
        [b'(', b'm' | b'c', ..] => Err(Refusal::NotWasm("WebAssembly text; `wasm-tools parse` makes the binary")),
        [b'#', b'!', ..] => Err(Refusal::NotWasm("a script")),
        [0x1f, 0x8b, ..] | [b'P', b'K', ..] => Err(Refusal::NotWasm("an archive")),
        _ => Err(Refusal::NotWasm("something else")),
    }
}

pub(crate) fn damaged(error: wasmparser::BinaryReaderError) -> Refusal {
    Refusal::Damaged { offset: error.offset(), problem: printable(error.message(), 200) }
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
        // An instance without exports, imported under each of so many names.
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
