//! Checks the outer format of a component's bytes, and describes damaged ones.

use host_model::printable;

use crate::limits::LARGEST_COMPONENT;
use crate::refusal::Refusal;

/// Checks the first bytes.
///
/// # Errors
/// The bytes have another format, which the error names.
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

/// Returns the refusal of bytes that cannot be parsed.
pub(crate) fn damaged(error: wasmparser::BinaryReaderError) -> Refusal {
    Refusal::Damaged { offset: error.offset(), problem: printable(error.message(), 200) }
}
