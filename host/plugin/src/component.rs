//! A component, compiled once and instantiated for each path.

use std::sync::Arc;

use host_model::{CallStats, Decoder, Enricher, Layout, PluginId, Recogniser, Role, Sampler, Schema};

use crate::Setup;
use crate::decoder::{DecoderRole, WasmDecoder};
use crate::engine::Engine;
use crate::enricher::{EnricherRole, WasmEnricher};
use crate::guard::Guard;
use crate::imports::{Rates, wasi};
use crate::inspect::inspect;
use crate::inspection::Inspection;
use crate::instance::{self, Blueprint};
use crate::recogniser::{RecogniserRole, WasmRecogniser};
#[cfg(feature = "compiler")]
use crate::refusal::NOT_TAKEN;
use crate::refusal::{PluginError, Refusal, Step};
use crate::sampler::{SamplerRole, WasmSampler};

/// A component's machine code and inspection. Clones share them.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    inspection: Arc<Inspection>,
    wasm: wasmtime::component::Component,
}

// === impl Component ===

impl Component {
    /// Inspects and compiles. Takes milliseconds to seconds: not for a worker thread. A component without a name gets that of its file,
    /// `stem`.
    ///
    /// # Errors
    /// The bytes are not a plugin (step inspect); the code cannot be compiled, or this build has no compiler (step compile).
    pub fn compile(engine: &Engine, bytes: &[u8], stem: &str) -> Result<Self, PluginError> {
        let code = |inspection: &Inspection| Ok((Self::machine_code(engine, bytes, inspection)?, ()));
        Ok(Self::made(engine, bytes, stem, code)?.0)
    }

    /// Inspects, and takes the machine code from `code`, with the value that `code` returns besides.
    pub(crate) fn made<T>(
        engine: &Engine,
        bytes: &[u8],
        stem: &str,
        code: impl FnOnce(&Inspection) -> Result<(wasmtime::component::Component, T), PluginError>,
    ) -> Result<(Self, T), PluginError> {
        let inspection = inspect(bytes).map_err(|refusal| refusal.of(stem))?.or_named(stem);
        let (wasm, said) = code(&inspection)?;
        Ok((Self { engine: engine.clone(), inspection: Arc::new(inspection), wasm }, said))
    }

    /// Compiles a component. A compiled plugin is refused, as it is not a component.
    pub(crate) fn machine_code(
        engine: &Engine,
        bytes: &[u8],
        inspection: &Inspection,
    ) -> Result<wasmtime::component::Component, PluginError> {
        let fail = |problem: &str, cure: &str| PluginError::new(&inspection.label(), Step::Compile, problem, cure);
        if inspection.compiled.is_some() {
            return Err(fail(
                "it is compiled already: code from outside needs the grant `native-code` for its digest or signer",
                "give the component it was made from",
            ));
        }
        #[cfg(feature = "compiler")]
        return engine.compile(bytes).map_err(|error| fail(&format!("{error:#}"), NOT_TAKEN));
        #[cfg(not(feature = "compiler"))]
        {
            let _ = bytes;
            let made = format!("host plugin compile FILE --target {} -o FILE.cwasm", engine.target());
            Err(fail("this build has no compiler", &format!("make code of it with a `host` that has one: `{made}`")))
        }
    }

    /// Same as [`Self::machine_code`], in a process of its own.
    #[cfg(feature = "compiler")]
    pub(crate) fn machine_code_apart(
        engine: &Engine,
        bytes: &[u8],
        inspection: &Inspection,
        apart: &crate::apart::Apart,
    ) -> Result<wasmtime::component::Component, PluginError> {
        let fail = |problem: &str, cure: &str| PluginError::new(&inspection.label(), Step::Compile, problem, cure);
        if inspection.compiled.is_some() {
            return Err(fail(
                "it is compiled already: code from outside needs the grant `native-code` for its digest or signer",
                "give the component it was made from",
            ));
        }
        let made = engine.compile_apart(bytes, apart).map_err(|error| fail(&error.to_string(), error.cure()))?;
        made.map_err(|error| fail(&format!("{error:#}"), "this is a bug of the host: tell its authors"))
    }

    /// Returns its inspection.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Creates an instance that decodes the records of one probe. `layout` is the actual record layout of the probe's object.
    ///
    /// # Errors
    /// The step that failed: inspect (it is not a decoder), grant, instantiate, expects, bind.
    pub fn decoder(&self, id: PluginId, probe: &str, layout: &Layout, setup: Setup) -> Result<Box<dyn Decoder>, PluginError> {
        let role = DecoderRole { probe: probe.into(), layout: layout.clone() };
        Ok(Box::new(WasmDecoder::new(self.guard(Role::Decoder, role, id, setup)?, self.inspection.protocol)))
    }

    /// Creates an instance that recognises connections of its protocol. It is bound like the decoder of the path, but decodes nothing.
    ///
    /// # Errors
    /// Those of [`Component::decoder`]; also if it decodes no protocol, or describes it in a way that the contract forbids.
    pub fn recogniser(
        &self,
        id: PluginId,
        probe: &str,
        layout: &Layout,
        setup: Setup,
    ) -> Result<Box<dyn Recogniser>, PluginError> {
        if !self.inspection.protocol {
            return Err(Refusal::NoProtocol(self.inspection.exports.clone()).of(&id.to_string()));
        }
        let role = RecogniserRole(DecoderRole { probe: probe.into(), layout: layout.clone() });
        Ok(Box::new(WasmRecogniser::new(self.guard(Role::Decoder, role, id, setup)?)))
    }

    /// Creates an instance that samples rows of one schema.
    ///
    /// # Errors
    /// Those of [`Component::decoder`].
    pub fn sampler(&self, id: PluginId, schema: &Arc<Schema>, setup: Setup) -> Result<Box<dyn Sampler>, PluginError> {
        let role = SamplerRole { schema: schema.clone() };
        Ok(Box::new(WasmSampler::new(self.guard(Role::Sampler, role, id, setup)?)))
    }

    /// Creates an instance that enriches rows of one schema: that of the decoder with the fields of the enrichers before it.
    ///
    /// # Errors
    /// Those of [`Component::decoder`].
    pub fn enricher(&self, id: PluginId, schema: &Arc<Schema>, setup: Setup) -> Result<Box<dyn Enricher>, PluginError> {
        let role = EnricherRole { schema: schema.clone() };
        Ok(Box::new(WasmEnricher::new(self.guard(Role::Enricher, role, id, setup)?)))
    }

    fn guard<R: instance::Role>(&self, wanted: Role, role: R, id: PluginId, mut setup: Setup) -> Result<Guard<R>, PluginError> {
        let plugin = id.to_string();
        if !self.inspection.roles.contains(&wanted) {
            return Err(Refusal::OtherRole { wanted, exports: self.inspection.exports.clone() }.of(&plugin));
        }
        setup.grants.check(&self.inspection).map_err(|refusal| refusal.of(&plugin))?;
        setup.limits = setup.limits.bounded();
        let config = serde_json::from_str(&setup.config).map_err(|error| {
            let problem = format!("its configuration is not a JSON object: {error}");
            PluginError::new(&plugin, Step::Bind, &problem, "write the slot's `config` as an object: `{\"key\": value}`")
        })?;
        let linked = wasi::complete(self.engine.linker(), &self.wasm).and_then(|linker| linker.instantiate_pre(&self.wasm));
        let pre = linked.map_err(|error| {
            let cure = "build the plugin against wit/v0.1: an import has another shape there";
            PluginError::new(&plugin, Step::Instantiate, &format!("{error:#}"), cure)
        })?;
        let (engine, stats) = (self.engine.clone(), Arc::new(CallStats::default()));
        let rates = Rates::new(&id, &setup.grants, &setup.limits, stats.clone());
        Guard::start(Blueprint { id, role, engine, pre, config: Arc::new(config), setup, stats, rates })
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("inspection", &self.inspection).finish_non_exhaustive()
    }
}
