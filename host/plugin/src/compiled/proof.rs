//! Whose code is run: what the operator answers for, and what is in this binary.

use host_model::Digest;
use wasmparser::{Encoding, Parser, Payload};

use super::{CODE_SECTION, NATIVE_CODE};
use crate::component::Component;
use crate::engine::{Engine, Execution};
use crate::grant::Grants;
use crate::inspect::Inspection;
use crate::map::{self, Origin};
use crate::refusal::{PluginError, Refusal, Step};

/// Code that somebody answers for. There is no other way to make one than to ask who does.
pub(crate) struct Proven<'a> {
    code: &'a [u8],
}

// === impl Proven ===

impl<'a> Proven<'a> {
    /// Code of a compiled plugin for an operator who grants that it is run. `grants` are those of its digest or its signer.
    fn granted(bytes: &'a [u8], grants: &Grants) -> Result<Self, Refusal> {
        if grants.native_code { Self::code_of(bytes) } else { Err(not_granted()) }
    }

    /// Code of which this binary knows the digest.
    fn own(bytes: &'a [u8], digest: Digest, own: &'static [[u8; 32]]) -> Result<Self, Refusal> {
        if own.contains(&digest.0) { Self::code_of(bytes) } else { Err(not_granted()) }
    }

    fn code_of(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(crate::inspect::damaged)? {
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

// === impl Component ===

impl Component {
    /// Takes the code of a compiled plugin. `grants` are what the operator granted to its digest or to its signer, and nothing
    /// that the file says of itself.
    ///
    /// # Errors
    /// What the bytes are instead of a compiled plugin (inspect); nobody answers for the code (grant); it is for another target,
    /// another version of the host, or another processor (compile).
    pub fn load(engine: &Engine, bytes: &[u8], stem: &str, grants: &Grants) -> Result<Self, PluginError> {
        Self::of_code(engine, bytes, stem, |bytes, _| Proven::granted(bytes, grants))
    }

    /// Takes the code of a compiled plugin that was built into this binary: whoever started the host runs it anyway. `own` are the
    /// SHA-256 of all such code, which must be in the binary as well.
    ///
    /// # Errors
    /// As of [`Component::load`]: it is none of those, or it was built in for another target or by another version.
    pub fn load_own(engine: &Engine, bytes: &[u8], stem: &str, own: &'static [[u8; 32]]) -> Result<Self, PluginError> {
        Self::of_code(engine, bytes, stem, |bytes, digest| Proven::own(bytes, digest, own))
    }

    fn of_code<'a>(
        engine: &Engine,
        bytes: &'a [u8],
        stem: &str,
        prove: impl FnOnce(&'a [u8], Digest) -> Result<Proven<'a>, Refusal>,
    ) -> Result<Self, PluginError> {
        let code = |inspection: &Inspection| {
            let label = inspection.label();
            let Some(compiled) = &inspection.compiled else {
                return Err(Refusal::Compiled("is missing: this is a component".into()).of(&label));
            };
            let proven = prove(bytes, inspection.digest).map_err(|refusal| refusal.of(&label))?;
            if compiled.target != engine.target() {
                let (problem, cure) = other_target(&compiled.target, engine);
                return Err(PluginError::new(&label, Step::Compile, &problem, &cure));
            }
            let cure = format!("compile it with the `host` of this version, {}", env!("CARGO_PKG_VERSION"));
            let loaded = map::load(engine.wasm(), &Origin::Proven(&proven));
            let loaded = loaded.map_err(|error| PluginError::new(&label, Step::Compile, &format!("{error:#}"), &cure))?;
            Ok((loaded, ()))
        };
        Ok(Self::made(engine, bytes, stem, code)?.0)
    }
}

fn not_granted() -> Refusal {
    Refusal::NotGranted { imports: vec!["code from outside".into()], grants: vec![NATIVE_CODE] }
}

/// What is wrong with code for another target, and what to do about it.
fn other_target(target: &str, engine: &Engine) -> (String, String) {
    let here = engine.target();
    let problem = match engine.execution() {
        Execution::Native => format!("it is compiled for `{target}`, and this host runs `{here}`"),
        Execution::Interpreted => format!("it is compiled for `{target}`, and this host interprets: it runs `{here}` only"),
    };
    (problem, format!("compile the component for it: `host plugin compile FILE --target {here} -o FILE.cwasm`"))
}
