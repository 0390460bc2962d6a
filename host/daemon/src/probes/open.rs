//! The probes at the start of a run: loaded into the kernel, or replayed from a capture.

use std::sync::Arc;

use host_model::{Probe, ProbeState};
use host_plugin::SystemClock;

use super::attached::{Attached, Opened};
use super::replay;
use super::selection::{self, Wanted};
use crate::error::DaemonError;
use crate::plugins::bind::Place;
use crate::settings::{Input, Settings};

/// Loads the probes, or opens the capture. A probe that cannot run and was not requested by name is only listed.
pub(crate) fn open_all(settings: &Settings) -> Result<(Vec<Opened>, Vec<Probe>), DaemonError> {
    if settings.input != Input::Kernel {
        return Ok((replay::open(settings)?, Vec::new()));
    }
    let wanted = selection::wanted(settings)?;
    let mut idle = selection::detached(&wanted);
    let mut opened = Vec::new();
    for wanted in &wanted {
        match open(wanted) {
            Ok(one) => opened.push(one),
            Err(refusal) if wanted.must => return Err(refusal),
            Err(refusal) => {
                tracing::warn!(probe = wanted.name, "{}: {refusal}", refusal.step());
                idle.push(failed(wanted, &refusal));
            }
        }
    }
    if opened.is_empty() {
        let reasons: Vec<String> = idle.iter().filter_map(|probe| reason(&probe.state)).collect();
        let message = if reasons.is_empty() { "no probe is to run".to_owned() } else { reasons.join("; ") };
        return Err(DaemonError::NoProbe(message));
    }
    Ok((opened, idle))
}

/// Loads a probe into the kernel. Nothing is attached yet. Blocks.
pub(crate) fn open(wanted: &Wanted) -> Result<Opened, DaemonError> {
    let object = wanted.object.read()?;
    let mut loaded = host_kernel::load(&wanted.name, &object, &wanted.options)?;
    let source = loaded.source()?;
    let layout = loaded.layout().clone();
    let clock = Arc::new(SystemClock);
    let place = Place { probe: wanted.name.as_str().into(), layout: Arc::new(layout.clone()), maps: loaded.maps(), clock };
    let probe = Probe {
        name: wanted.name.clone(),
        built_in: wanted.object.built_in(),
        state: ProbeState::Detached,
        hooks: Vec::new(),
        passed_over: Vec::new(),
        layout: Some(layout),
        ring_bytes: loaded.ring_bytes(),
        capabilities: loaded.capabilities().into_iter().map(str::to_owned).collect(),
    };
    Ok(Opened { place, source, attached: Attached::loaded(probe, loaded) })
}

fn failed(wanted: &Wanted, refusal: &DaemonError) -> Probe {
    selection::idle(&wanted.name, wanted.object.built_in(), ProbeState::Failed(refusal.to_string()))
}

pub(crate) fn reason(state: &ProbeState) -> Option<String> {
    match state {
        ProbeState::Failed(reason) => Some(reason.clone()),
        ProbeState::Attached | ProbeState::Detached => None,
    }
}
