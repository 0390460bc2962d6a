//! Guests that no toolchain produces: components written byte by byte, or made from a good one.

use std::fmt::Write;

/// Text that gives a component the sampler's interface, without any function in it.
const NO_SAMPLER: &str = r#"(instance $sampler) (export "probe:plugin/sampler@0.1.0" (instance $sampler))"#;

/// Returns their names and bytes, made from a good component and its core module.
pub(crate) fn guests(behaves: &[u8], module: Vec<u8>) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let wat = |text: String| wat::parse_str(text).unwrap();
    [
        ("empty", Vec::new()),
        ("a_script", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        ("a_core_module", module),
        ("cut_in_half", behaves[..behaves.len() / 2].to_vec()),
        ("cut_at_the_last_byte", behaves[..behaves.len() - 1].to_vec()),
        ("a_contract_from_the_future", renamed(behaves, b"@0.1.0", b"@0.9.0")),
        ("an_export_of_another_shape", renamed(behaves, b"min-duration-ns", b"min-duration-xx")),
        ("without_a_role", b"\0asm\x0d\0\x01\0".to_vec()),
        ("ten_thousand_exports", wat(ten_thousand_exports())),
        ("ten_thousand_imports", wat(ten_thousand_imports())),
        ("two_thousand_instances", wat(two_thousand_instances())),
        ("ten_thousand_nested_components", nested(10_000)),
        // Lengths: the first section of the component claims 4 GiB.
        ("a_section_of_four_gigabytes", [behaves, b"\x01\xff\xff\xff\xff\x0f"].concat()),
        // Too large to be stored: made on request.
        ("a_hundred_megabytes", Vec::new()),
    ]
    .into_iter()
}

fn ten_thousand_exports() -> String {
    let function =
        r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f")))"#;
    let mut text = format!("(component {function} {NO_SAMPLER}");
    (0..10_000).for_each(|index| write!(text, r#" (export "e{index}" (func $f))"#).unwrap());
    text + ")"
}

fn ten_thousand_imports() -> String {
    let mut text = String::from("(component");
    (0..10_000).for_each(|index| write!(text, r#" (import "probe:plugin/i{index}@0.1.0" (instance))"#).unwrap());
    text + NO_SAMPLER + ")"
}

fn two_thousand_instances() -> String {
    let mut text = String::from("(component (core module $m)");
    (0..2_000).for_each(|_| text.push_str(" (core instance (instantiate $m))"));
    text + NO_SAMPLER + ")"
}

/// Returns components within components.
fn nested(depth: usize) -> Vec<u8> {
    let preamble = b"\0asm\x0d\0\x01\0";
    let mut bytes = preamble.to_vec();
    for _ in 0..depth {
        let mut outer = preamble.to_vec();
        outer.push(4);
        leb128(bytes.len(), &mut outer);
        outer.extend_from_slice(&bytes);
        bytes = outer;
    }
    bytes
}

fn leb128(mut number: usize, bytes: &mut Vec<u8>) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Replaces every occurrence of a name by another of the same length.
fn renamed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut renamed = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    places.into_iter().for_each(|at| renamed[at..at + to.len()].copy_from_slice(to));
    renamed
}
