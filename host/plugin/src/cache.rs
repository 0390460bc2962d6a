//! Caches compiled code from one start to the next. It is native code of a privileged process, so an entry is run only if its tag was made
//! with the key of this directory; else the component is compiled anew.
//!
//! An entry belongs to a component (its digest) and to an engine (its fingerprint: version of the compiler, its settings, the processor's
//! features). Only the owner can access the directory and the key in it.

mod entry;
mod fingerprint;
mod folder;
mod precompile;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use host_model::Digest;
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::apart::Apart;
use crate::component::Component;
use crate::engine::Engine;
use crate::inspection::Inspection;
use crate::map::{self, Origin};
use crate::refusal::PluginError;
pub(crate) use entry::Verified;
pub(crate) use fingerprint::Fingerprint;
pub use folder::CacheError;
use folder::Folder;
pub use precompile::{Precompiled, precompile};

/// A directory of compiled code. A clone is the same directory.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    key: hmac::Key,
    max_bytes: u64,
}

/// How the cache was used for one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheUse {
    /// The code was in the cache.
    Hit,
    /// The component was compiled, and its code was stored.
    Miss,
    /// The code in the cache was damaged, cut, or made with another key: the component was compiled, and the new code was stored.
    Repaired,
}

/// The result of looking up an entry.
enum Found {
    Absent,
    /// An entry that cannot be used, and why.
    Unusable(String),
    Code(Verified),
}

// === impl Cache ===

impl Cache {
    /// Opens a directory, and creates it and its key if they do not exist. It stores at most `max_bytes`; entries that were not used for
    /// the longest time are removed first.
    ///
    /// # Errors
    /// The directory or its key cannot be created or read, or other users can access them.
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        let folder = Folder::open(folder)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &folder.key()?);
        Ok(Self { inner: Arc::new(Inner { folder, key, max_bytes }) })
    }

    /// The path of its directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.inner.folder.path()
    }

    fn find(&self, digest: Digest, fingerprint: &Fingerprint) -> Found {
        let name = entry::name(digest, fingerprint);
        match self.inner.folder.read(&name, self.inner.max_bytes) {
            Ok(None) => Found::Absent,
            Ok(Some(file)) => match Verified::open(&self.inner.key, digest, fingerprint, file) {
                Some(code) => Found::Code(code),
                None => Found::Unusable("it is damaged, or was made with another key".into()),
            },
            Err(error) => Found::Unusable(error.to_string()),
        }
    }

    /// Stores code, and removes old entries above the maximum size. Returns false if this entry alone exceeds it.
    fn keep(&self, digest: Digest, fingerprint: &Fingerprint, code: &[u8]) -> std::io::Result<bool> {
        let entry = entry::seal(&self.inner.key, digest, fingerprint, code);
        if entry.len() as u64 > self.inner.max_bytes {
            return Ok(false);
        }
        let name = entry::name(digest, fingerprint);
        self.inner.folder.write(&name, &entry)?;
        self.inner.folder.bound(self.inner.max_bytes, &name);
        Ok(true)
    }

    /// Returns the code of a component: from the cache, else from `compile`.
    pub(crate) fn component(
        &self,
        engine: &Engine,
        digest: Digest,
        plugin: &str,
        compile: impl FnOnce() -> Result<wasmtime::component::Component, PluginError>,
    ) -> Result<(wasmtime::component::Component, CacheUse), PluginError> {
        let mut done = CacheUse::Miss;
        for fingerprint in engine.fingerprints() {
            let problem = match self.find(digest, fingerprint) {
                Found::Absent => continue,
                Found::Unusable(problem) => problem,
                Found::Code(code) => match map::load(engine.wasm(), &Origin::Sealed(&code)) {
                    Ok(component) => return Ok((component, CacheUse::Hit)),
                    Err(error) => format!("{error:#}"),
                },
            };
            let entry = entry::name(digest, fingerprint);
            tracing::warn!(plugin, entry, problem, "compiled code in the cache cannot be used: the component is compiled anew");
            done = CacheUse::Repaired;
        }
        let component = compile()?;
        self.remember(&component, digest, engine.fingerprint(), plugin);
        Ok((component, done))
    }

    /// Stores new code. If that fails, it is logged, and the next start compiles again.
    fn remember(&self, component: &wasmtime::component::Component, digest: Digest, fingerprint: &Fingerprint, plugin: &str) {
        let kept = component.serialize().map_err(std::io::Error::other).and_then(|code| self.keep(digest, fingerprint, &code));
        match kept {
            Ok(true) => {}
            Ok(false) => tracing::warn!(plugin, "its compiled code is larger than the whole cache may be: it is not kept"),
            Err(error) => tracing::warn!(plugin, %error, "its compiled code cannot be kept"),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("folder", &self.folder()).finish_non_exhaustive()
    }
}

// === impl Component ===

impl Component {
    /// Same as [`Component::compile`], with the machine code from a cache if the cache has it.
    ///
    /// # Errors
    /// Those of [`Component::compile`]. A problem of the cache is not an error: it is logged, and the component is compiled.
    pub fn compile_cached(engine: &Engine, bytes: &[u8], stem: &str, cache: &Cache) -> Result<(Self, CacheUse), PluginError> {
        Self::through(engine, bytes, stem, cache, |inspection| Self::machine_code(engine, bytes, inspection))
    }

    /// Same as [`Component::compile`], for a foreign component, which is compiled in a process of its own. Also returns how the cache was
    /// used, if there is one.
    ///
    /// # Errors
    /// Those of [`Component::compile`]; also if compiling exceeds its time or memory (step compile).
    pub fn compile_apart(
        engine: &Engine,
        bytes: &[u8],
        stem: &str,
        cache: Option<&Cache>,
        apart: &Apart,
    ) -> Result<(Self, Option<CacheUse>), PluginError> {
        let compile = |inspection: &Inspection| Self::machine_code_apart(engine, bytes, inspection, apart);
        let Some(cache) = cache else {
            return Self::made(engine, bytes, stem, |inspection| Ok((compile(inspection)?, None)));
        };
        let (component, used) = Self::through(engine, bytes, stem, cache, compile)?;
        Ok((component, Some(used)))
    }

    fn through(
        engine: &Engine,
        bytes: &[u8],
        stem: &str,
        cache: &Cache,
        compile: impl FnOnce(&Inspection) -> Result<wasmtime::component::Component, PluginError>,
    ) -> Result<(Self, CacheUse), PluginError> {
        Self::made(engine, bytes, stem, |inspection| {
            cache.component(engine, inspection.digest, &inspection.label(), || compile(inspection))
        })
    }
}

// === impl CacheUse ===

impl fmt::Display for CacheUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Repaired => "repaired",
        })
    }
}
