//! Properties of a component that the host requires before it instantiates the component.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use std::collections::BTreeSet;

use plugins::COMPONENTS;
use wasmparser::{ComponentExternalKind, Parser, Payload};

/// Returns the names of the interfaces that a component exports and imports, including those with types only.
fn interfaces(bytes: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut exports, mut imports) = (BTreeSet::new(), BTreeSet::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::ComponentSection { .. } | Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.unwrap();
                    assert_eq!(export.kind, ComponentExternalKind::Instance);
                    exports.insert(export.name.name.to_string());
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_string()));
            }
            _ => {}
        }
    }
    (exports, imports)
}

/// Returns the content of the custom section that identifies a plugin.
fn identity(bytes: &[u8]) -> Vec<Vec<u8>> {
    let sections = Parser::new(0).parse_all(bytes).filter_map(|payload| match payload.unwrap() {
        Payload::CustomSection(section) if section.name() == "probe:plugin" => Some(section.data().to_vec()),
        _ => None,
    });
    sections.collect()
}

#[test]
fn every_component_says_its_name_and_version_once() {
    for component in COMPONENTS {
        let wanted = format!("{}\0{}", component.name, env!("CARGO_PKG_VERSION"));
        assert_eq!(identity(component.bytes), [wanted.into_bytes()], "{}", component.name);
    }
}

#[test]
fn every_component_exports_the_role_in_its_name_and_imports_only_what_it_uses() {
    for component in COMPONENTS {
        let (exports, imports) = interfaces(component.bytes);
        let role = component.name.split('-').next().unwrap();
        assert!(exports.contains(&format!("probe:plugin/{role}@0.1.0")), "{} exports {exports:?}", component.name);
        let types = ["columns", "schema", "layout"].map(|name| format!("probe:plugin/{name}@0.1.0"));
        let functions: Vec<String> = imports.into_iter().filter(|import| !types.contains(import)).collect();
        // An import of the SDK, for the message of a panic.
        let mut wanted = vec!["probe:plugin/log@0.1.0"];
        wanted.extend((component.name == "enricher-process").then_some("probe:plugin/tables@0.1.0"));
        assert_eq!(functions, wanted, "{}", component.name);
    }
}

#[test]
fn no_component_is_larger_than_it_must_be() {
    for component in COMPONENTS {
        let kib = component.bytes.len() / 1024;
        // A protocol's decoder has a parser, its state, thirty fields, and words that are known not to be part of a value.
        let most = if interfaces(component.bytes).0.contains("probe:plugin/protocol@0.1.0") { 420 } else { 150 };
        assert!(kib < most, "{} has {kib} KiB", component.name);
    }
}

#[test]
fn no_component_knows_the_machine_it_was_built_on() {
    let places = [env!("CARGO_MANIFEST_DIR"), "/.cargo/"];
    for component in COMPONENTS {
        for place in places.map(str::as_bytes) {
            let found = component.bytes.windows(place.len()).any(|bytes| bytes == place);
            assert!(!found, "{} names {}", component.name, String::from_utf8_lossy(place));
        }
    }
}
