//! The slots as the configuration fills them at the start.

use std::path::Path;
use std::sync::Arc;

use host_api::{Slot, Step};

use super::compiler::Compiler;
use super::load::{self, Choice, Order};
use super::protocols;
use super::slots::{Generation, Slots};
use crate::clock::unix_ms;
use crate::config::KEPT;
use crate::error::DaemonError;
use crate::last_resort::Steps;
use crate::settings::Settings;

/// Compiles the plugins in the slots: those of all paths, and the decoder of each. All in parallel, because this takes most of a start.
pub(crate) fn slots(
    compiler: &Compiler,
    settings: &Settings,
    probes: &[&str],
    trunk: bool,
    steps: &Steps,
) -> Result<Slots, DaemonError> {
    let config = &settings.config;
    let _unpacked = load::unpacked(compiler.engine().execution());
    let protocols = if trunk { protocols::choices(config, probes, compiler.engine().execution())? } else { Vec::new() };
    let decoders = probes.iter().map(|probe| load::decoder(config, probe));
    let choices: Vec<Choice> = decoders.chain(protocols).chain(load::choices(config)).collect();
    let named: Vec<Slot> = choices.iter().map(|choice| choice.slot.clone()).collect();
    let compiled: Vec<_> = std::thread::scope(|scope| {
        let compile = |choice: Choice| {
            let _compiling = steps.begin(format!("plugin {} of slot {} to be compiled", choice.component, choice.slot));
            generation(compiler, settings, 1, choice)
        };
        let compiling: Vec<_> = choices.into_iter().map(|choice| scope.spawn(move || compile(choice))).collect();
        compiling.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for (slot, _) in config.plugins.iter() {
        if let Slot::Decoder(probe) | Slot::SamplerOf(probe) = slot
            && !named.contains(&Slot::Decoder(probe.clone()))
        {
            tracing::warn!(%slot, "there is no path `{probe}` now; this plugin waits for its probe");
        }
    }
    for slot in load::waiting(config) {
        tracing::warn!(%slot, "no component is named for this slot, and none in the binary is made for it: it is empty until one is loaded");
    }
    let kept = config.engine.generations.map_or(KEPT, |kept| usize::try_from(kept).unwrap_or(usize::MAX));
    let mut slots = Slots::keeping(kept);
    for generation in compiled {
        let generation =
            generation.map_err(|_| DaemonError::new(Step::Compile, "the compiler panicked", "this is a fault of the host"))?;
        let generation = generation?;
        generation.record().since_unix_ms = unix_ms();
        slots.put(Arc::new(generation));
    }
    Ok(slots)
}

/// Returns the plugin that the configuration puts into a slot.
pub(crate) fn generation(
    compiler: &Compiler,
    settings: &Settings,
    number: u64,
    choice: Choice,
) -> Result<Generation, DaemonError> {
    let Choice { slot, component, config } = choice;
    let component = Path::new(&component);
    let (bytes, stem) = (load::read(component, compiler.engine().execution())?, load::stem(component));
    let order = Order { slot, number, bytes, stem: &stem, config: Arc::new(config), compiled: None };
    load::compile(compiler, &settings.config, order)
}
