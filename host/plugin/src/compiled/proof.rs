//! Proof that compiled code may run: a grant of the operator, or a digest that is in this binary.

use host_model::Digest;
use wasmparser::{Encoding, Parser, Payload};

use super::CODE_SECTION;
use crate::grant::{Grants, NATIVE_CODE};
use crate::refusal::Refusal;
use crate::sections::damaged;

/// Code that may run. Only one of the two checks creates it.
pub(crate) struct Proven<'a> {
    code: &'a [u8],
}

// === impl Proven ===

impl<'a> Proven<'a> {
    /// Accepts code of a compiled plugin if the operator grants `native-code`. `grants` are those of its digest or its signer.
    pub(super) fn granted(bytes: &'a [u8], grants: &Grants) -> Result<Self, Refusal> {
        if grants.native_code { Self::code_of(bytes) } else { Err(not_granted()) }
    }

    /// Accepts code whose digest is in this binary.
    pub(super) fn own(bytes: &'a [u8], digest: Digest, own: &'static [[u8; 32]]) -> Result<Self, Refusal> {
        if own.contains(&digest.0) { Self::code_of(bytes) } else { Err(not_granted()) }
    }

    fn code_of(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(damaged)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(Refusal::CoreModule),
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 && section.name() == CODE_SECTION => {
                    return Ok(Self { code: section.data() });
                }
                _ => {}
            }
        }
        Err(Refusal::Compiled(format!("has no section `{CODE_SECTION}`")))
    }

    pub(crate) fn code(&self) -> &[u8] {
        self.code
    }
}

fn not_granted() -> Refusal {
    Refusal::NotGranted { imports: vec!["code from outside".into()], grants: vec![NATIVE_CODE] }
}
