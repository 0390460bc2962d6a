//! Code for another machine: compiled here, kept in a folder that goes there.

use std::path::PathBuf;

use host_model::Digest;

use super::{Cache, Fingerprint, entry};
use crate::engine::{MADE_FOR, compiler_for};
use crate::inspect::inspect;
use crate::refusal::{PluginError, Step};

/// Machines that code can be made for.
pub const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Code for another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precompiled {
    /// Of the component.
    pub digest: Digest,
    /// The machine.
    pub target: &'static str,
    /// The entry in the folder.
    pub path: PathBuf,
    /// Of machine code.
    pub bytes: u64,
}

/// Compiles for a target, for the oldest processor of its kind, and keeps the code in `cache`. A host of that target finds it
/// there if its cache has the same key: copy the entries to it, and the file `key` in one direction or the other.
///
/// # Errors
/// The bytes are no plugin (inspect), the target is none of [`TARGETS`], or the code cannot be compiled or kept (compile).
pub fn precompile(bytes: &[u8], stem: &str, target: &str, cache: &Cache) -> Result<Precompiled, PluginError> {
    let inspection = inspect(bytes).map_err(|refusal| refusal.of(stem))?.or_named(stem);
    let label = inspection.label();
    let fail = |problem: &str, cure: &str| PluginError::new(&label, Step::Compile, problem, cure);
    let Some(target) = TARGETS.into_iter().find(|known| *known == target) else {
        let targets = TARGETS.map(|target| format!("`{target}`")).join(", ");
        return Err(fail(
            &format!("there is no code for `{target}`"),
            &format!("targets are {targets}; this machine is `{MADE_FOR}`"),
        ));
    };
    let compiler = compiler_for(target, true)
        .map_err(|error| fail(&format!("{error:#}"), "this is a bug of the host: tell its authors"))?;
    let code =
        compiler.precompile_component(bytes).map_err(|error| fail(&format!("{error:#}"), crate::component::NOT_TAKEN))?;
    let fingerprint = Fingerprint::of(&compiler);
    let kept = cache.keep(inspection.digest, &fingerprint, &code);
    let path = cache.folder().join(entry::name(inspection.digest, &fingerprint));
    match kept {
        Ok(true) => Ok(Precompiled { digest: inspection.digest, target, path, bytes: code.len() as u64 }),
        Ok(false) => Err(fail("its machine code is larger than the whole cache may be", "give the cache more bytes")),
        Err(error) => {
            Err(fail(&format!("{}: {error}", path.display()), "look whether the disk is full, and who may write there"))
        }
    }
}
