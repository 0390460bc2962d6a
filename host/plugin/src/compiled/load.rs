//! Loading the code of a compiled plugin: for this target only, and only with the grant `native-code`, or built into this binary.

use host_model::Digest;

use super::proof::Proven;
use crate::component::Component;
use crate::engine::{Engine, Execution};
use crate::grant::Grants;
use crate::inspection::Inspection;
use crate::map::{self, Origin};
use crate::refusal::{PluginError, Refusal, Step};

impl Component {
    /// Loads the code of a compiled plugin. `grants` must be those that the operator gave to its digest or its signer; what the file states
    /// about itself does not count.
    ///
    /// # Errors
    /// The bytes are not a compiled plugin (inspect); the code is not granted (grant); it is for another target, another version of the
    /// host, or another processor (compile).
    pub fn load(engine: &Engine, bytes: &[u8], stem: &str, grants: &Grants) -> Result<Self, PluginError> {
        Self::of_code(engine, bytes, stem, |bytes, _| Proven::granted(bytes, grants))
    }

    /// Loads the code of a compiled plugin that was built into this binary and needs no grant. `own` is the list of the SHA-256 of all such
    /// code, which must be in the binary as well.
    ///
    /// # Errors
    /// Those of [`Component::load`]: its digest is not in `own`, or it was built for another target or by another version.
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

/// Returns problem and cure for code of another target.
fn other_target(target: &str, engine: &Engine) -> (String, String) {
    let here = engine.target();
    let problem = match engine.execution() {
        Execution::Native => format!("it is compiled for `{target}`, and this host runs `{here}`"),
        Execution::Interpreted => format!("it is compiled for `{target}`, and this host interprets: it runs `{here}` only"),
    };
    (problem, format!("compile the component for it: `host plugin compile FILE --target {here} -o FILE.cwasm`"))
}
