//! Compiles code for the cache of another machine, into a directory that is copied there.

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
    /// The target that it is compiled for.
    pub target: &'static str,
    /// Path of the entry.
    pub path: PathBuf,
    /// Size of the machine code, in bytes.
    pub bytes: u64,
}

/// Compiles for the oldest processor of a target and stores the code in `cache`. A host of that target finds it if its cache has the same
/// key: copy the entries to its cache, and the file `key` in one direction or the other.
///
/// # Errors
/// The bytes are not a plugin (inspect), the target is not one of [`TARGETS`](crate::TARGETS), or the code cannot be compiled or stored
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
