//! Hostile guests: on request, or each with one behaviour. See tests/guests.

pub mod conformance;

/// The decoder, sampler and enricher that behaves as `{"do": ...}` in its configuration says.
pub static FAULTY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/faulty.wasm"));

/// Its core module: not a component yet.
pub static FAULTY_CORE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/faulty.core.wasm"));

/// The enricher that calls the host as its configuration says.
pub static CURIOUS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/curious.wasm"));

/// Encodes a number in LEB128.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// Returns a component with this many functions added, each with every local changed within this many loops: a compiler may take minutes
/// for it.
#[must_use]
pub fn slow_to_compile(component: &[u8], functions: usize, locals: usize, loops: usize) -> Vec<u8> {
    let mut body = [&[1][..], &leb(locals), &[0x7f]].concat();
    body.extend(b"\x03\x40".repeat(loops));
    for local in 0..locals {
        body.extend([&[0x20][..], &leb(local), b"\x41\x01\x6a\x21", &leb(local)].concat());
    }
    // Repeats while the first local is not 0.
    body.extend(b"\x20\x00\x0d\x00\x0b".repeat(loops));
    body.push(0x0b);
    let body = [leb(body.len()), body].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, b"\x01\x60\0\0"),
        section(3, &[leb(functions), vec![0; functions]].concat()),
        section(10, &[leb(functions), body.repeat(functions)].concat()),
    ];
    [component, &section(1, &module.concat())].concat()
}
