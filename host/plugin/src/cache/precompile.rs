//! Code for the cache of another machine: compiled here, kept in a folder that goes there.

use std::path::PathBuf;

use host_model::Digest;

use super::{Cache, Fingerprint, entry};
use crate::compiled::{Ahead, ahead};
use crate::refusal::{PluginError, Step};

/// Code for another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precompiled {
    /// The digest of the component.
    pub digest: Digest,
    /// The machine.
    pub target: &'static str,
    /// The entry in the folder.
    pub path: PathBuf,
    /// The size of the machine code.
    pub bytes: u64,
}

/// Compiles for a target, for the oldest processor of its kind, and keeps the code in `cache`. A host of that target finds it
/// there if its cache has the same key: copy the entries to it, and the file `key` in one direction or the other.
///
/// # Errors
/// The bytes are no plugin (inspect), the target is none of [`TARGETS`](crate::TARGETS), or the code cannot be compiled or kept
/// (compile).
pub fn precompile(bytes: &[u8], stem: &str, target: &str, cache: &Cache) -> Result<Precompiled, PluginError> {
    let Ahead { inspection, target, compiler, code } = ahead(bytes, stem, target)?;
    let fail = |problem: &str, cure: &str| PluginError::new(&inspection.label(), Step::Compile, problem, cure);
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
