//! An opened probe with the resource that keeps it alive: programs in the kernel, or none for a capture.

use host_kernel::{KernelError, LoadedProbe};
use host_model::{Probe, ProbeState, Source};

use crate::plugins::bind::Place;

/// The probe of a path.
pub(crate) struct Attached {
    probe: Probe,
    /// The programs in the kernel; None for a capture, and once detached. Dropping it detaches.
    loaded: Option<LoadedProbe>,
}

/// A probe with its record and its ring, before anything reads it.
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) source: Box<dyn Source>,
    pub(crate) attached: Attached,
}

// === impl Attached ===

impl Attached {
    /// A probe that is loaded but not attached.
    pub(crate) const fn loaded(probe: Probe, loaded: LoadedProbe) -> Self {
        Self { probe, loaded: Some(loaded) }
    }

    /// A capture in place of a probe.
    pub(crate) const fn capture(probe: Probe) -> Self {
        Self { probe, loaded: None }
    }

    /// Returns the probe with its current hooks: those in libraries come and go with the processes that use them.
    pub(crate) fn probe(&mut self) -> &Probe {
        if let Some(loaded) = &self.loaded {
            self.probe.hooks = loaded.hooks();
        }
        &self.probe
    }

    /// Attaches the programs; records arrive from here on.
    pub(crate) fn attach(&mut self) -> Result<(), KernelError> {
        let attached = self.loaded.as_mut().map_or(Ok(()), LoadedProbe::attach);
        self.probe.state = match &attached {
            Ok(()) => ProbeState::Attached,
            Err(error) => ProbeState::Failed(error.to_string()),
        };
        // The hooks used, and so their privileges, depend on this kernel.
        if let Some(loaded) = &self.loaded {
            self.probe.hooks = loaded.hooks();
            self.probe.passed_over = loaded.passed_over().to_vec();
            self.probe.capabilities = loaded.capabilities().into_iter().map(str::to_owned).collect();
        }
        attached
    }

    /// Detaches the programs. No more records arrive; those in the ring can still be read.
    pub(crate) fn detach(&mut self) {
        self.loaded = None;
        self.probe.state = ProbeState::Detached;
    }
}
