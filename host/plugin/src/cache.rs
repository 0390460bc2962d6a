//! Compiled code, kept from one start to the next. It is native code of a privileged process, so only what carries a tag made
//! with the key of this folder is ever run; the rest is compiled anew.
//!
//! An entry belongs to a component (its digest) and to an engine (its fingerprint: version of the compiler, its settings, the
//! processor's features). The folder is its owner's alone, and so is the key in it.

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

/// A folder of compiled code. A clone is the same folder.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    key: hmac::Key,
    max_bytes: u64,
}

/// The use of the cache for one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheUse {
    /// Its code was there.
    Hit,
    /// It was compiled, and its code is kept.
    Miss,
    /// Its code was there but damaged, cut, or made with another key: it was compiled, and the new code is kept.
    Repaired,
}

/// An entry.
enum Found {
    Absent,
    /// And why.
    Unusable(String),
    Code(Verified),
}

// === impl Cache ===

impl Cache {
    /// Opens a folder, and makes it and its key if they are not there. It keeps at most `max_bytes`; what was not used for the
    /// longest time goes first.
    ///
    /// # Errors
    /// The folder or its key cannot be made or read, or others than this user can reach them.
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        let folder = Folder::open(folder)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &folder.key()?);
        Ok(Self { inner: Arc::new(Inner { folder, key, max_bytes }) })
    }

    /// Its folder.
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

    /// Keeps code, and sees to it that all of it is not too much. False if this alone would be.
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

    /// The code of a component: from here, else from `compile`.
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

    /// A cache that cannot be written costs time and nothing else.
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
    /// As [`Component::compile`], with the machine code from a cache if it has it.
    ///
    /// # Errors
    /// As of [`Component::compile`]. What is wrong with the cache is no error: it is logged, and the component compiled.
    pub fn compile_cached(engine: &Engine, bytes: &[u8], stem: &str, cache: &Cache) -> Result<(Self, CacheUse), PluginError> {
        Self::through(engine, bytes, stem, cache, |inspection| Self::machine_code(engine, bytes, inspection))
    }

    /// As [`Component::compile`], for a foreign component: in a process of its own. With what the cache did, if there
    /// is one.
    ///
    /// # Errors
    /// As of [`Component::compile`]; it takes more time or memory than it may (compile).
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
