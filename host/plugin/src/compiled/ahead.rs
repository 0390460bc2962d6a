//! Compiles ahead of time: for another target, or for a host without a compiler.

use super::{Label, TARGETS, file};
use crate::engine::{MADE_FOR, compiler_for};
use crate::inspect::inspect;
use crate::inspection::Inspection;
use crate::refusal::{PluginError, Step};

/// A component compiled for another machine.
pub(crate) struct Ahead {
    pub(crate) inspection: Inspection,
    pub(crate) target: &'static str,
    pub(crate) compiler: wasmtime::Engine,
    pub(crate) code: Vec<u8>,
}

/// Returns the file of the compiled plugin made from a component. `target` is one of [`TARGETS`]; code for an architecture runs on its
/// oldest processor.
///
/// # Errors
/// The bytes are not a plugin, or are compiled already (inspect); the target is unknown, or the code cannot be compiled (compile).
pub fn compile_for(bytes: &[u8], stem: &str, target: &str) -> Result<Vec<u8>, PluginError> {
    let Ahead { inspection, target, code, .. } = ahead(bytes, stem, target)?;
    Ok(file(&Label::of(&inspection, target), &code))
}

/// Inspects a component and compiles it for a target.
pub(crate) fn ahead(bytes: &[u8], stem: &str, target: &str) -> Result<Ahead, PluginError> {
    let inspection = inspect(bytes).map_err(|refusal| refusal.of(stem))?.or_named(stem);
    let label = inspection.label();
    let fail = |step: Step, problem: &str, cure: &str| PluginError::new(&label, step, problem, cure);
    if let Some(compiled) = &inspection.compiled {
        let problem = format!("it is compiled already, for {}", compiled.target);
        return Err(fail(Step::Inspect, &problem, "give the component it was made from, usually NAME.wasm"));
    }
    let Some(target) = TARGETS.into_iter().find(|known| *known == target) else {
        let targets = TARGETS.map(|target| format!("`{target}`")).join(", ");
        return Err(fail(
            Step::Compile,
            &format!("there is no code for `{target}`"),
            &format!("targets are {targets}; this machine is `{MADE_FOR}`"),
        ));
    };
    let compiler = compiler_for(target, true)
        .map_err(|error| fail(Step::Compile, &format!("{error:#}"), "this is a bug of the host: tell its authors"))?;
    let code = compiler
        .precompile_component(bytes)
        .map_err(|error| fail(Step::Compile, &format!("{error:#}"), crate::refusal::NOT_TAKEN))?;
    Ok(Ahead { inspection, target, compiler, code })
}
