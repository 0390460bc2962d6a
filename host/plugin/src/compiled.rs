//! A compiled plugin: a component compiled for one target, in a file of its own, for hosts that have no compiler.
//!
//! ```text
//! component preamble | custom section "probe:compiled": JSON, what the component says of itself | custom section "probe:code"
//! ```
//!
//! It has the outer format of a component, so that it is signed, verified and inspected as one. Its code is not confined by the sandbox: it
//! runs only if the operator grants `native-code` to its digest or to its signer.

#[cfg(feature = "compiler")]
mod ahead;
mod load;
mod proof;

use serde::{Deserialize, Serialize};

#[cfg(feature = "compiler")]
use crate::inspection::Inspection;
#[cfg(feature = "compiler")]
pub use ahead::compile_for;
#[cfg(feature = "compiler")]
pub(crate) use ahead::{Ahead, ahead};
pub(crate) use proof::Proven;

/// Targets of compilation: the machine architectures, and the interpreter, which every machine has.
pub const TARGETS: [&str; 3] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", crate::engine::INTERPRETER];

/// Name of the custom section that describes the code and its target.
pub(crate) const LABEL_SECTION: &str = "probe:compiled";
/// Name of the custom section with the code.
pub(crate) const CODE_SECTION: &str = "probe:code";

/// The first bytes of every component.
#[cfg(feature = "compiler")]
const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

/// The label of a compiled plugin: the metadata of its component.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Label {
    /// The target of the code: one of [`TARGETS`].
    pub(crate) target: String,
    /// The digest of the component.
    pub(crate) source: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

// === impl Label ===

impl Label {
    #[cfg(feature = "compiler")]
    fn of(inspection: &Inspection, target: &str) -> Self {
        Self {
            target: target.into(),
            source: inspection.digest.to_string(),
            name: inspection.name.clone(),
            version: inspection.version.clone(),
            imports: inspection.imports.clone(),
            exports: inspection.exports.clone(),
        }
    }
}

/// Builds the file of a compiled plugin.
#[cfg(feature = "compiler")]
fn file(label: &Label, code: &[u8]) -> Vec<u8> {
    // The label is text and lists of text, so this cannot fail.
    let label = serde_json::to_vec(label).unwrap_or_default();
    let mut file = PREAMBLE.to_vec();
    section(&mut file, LABEL_SECTION, &label);
    section(&mut file, CODE_SECTION, code);
    file
}

#[cfg(feature = "compiler")]
fn section(file: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut named = Vec::new();
    leb128(&mut named, name.len());
    named.extend_from_slice(name.as_bytes());
    file.push(0);
    leb128(file, named.len() + content.len());
    file.extend_from_slice(&named);
    file.extend_from_slice(content);
}

/// Encodes a number as LEB128: seven bits per byte, the lowest first.
#[cfg(feature = "compiler")]
fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
