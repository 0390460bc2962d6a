//! A probe that is opened, and what keeps it alive: programs in the kernel, or a capture that needs nothing.

use host_kernel::{KernelError, LoadedProbe};
use host_model::{Probe, ProbeState, Source};

use crate::plugins::bind::Place;

/// The probe of a path.
pub(crate) struct Attached {
    probe: Probe,
    /// None for a capture, and once it is detached. Dropping it detaches.
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
    /// A probe that is loaded and not attached.
    pub(crate) const fn loaded(probe: Probe, loaded: LoadedProbe) -> Self {
        Self { probe, loaded: Some(loaded) }
    }

    /// A capture in the place of a probe.
    pub(crate) const fn capture(probe: Probe) -> Self {
        Self { probe, loaded: None }
    }

    /// Its hooks as they are now: those in libraries come and go with the processes that use them.
    pub(crate) fn probe(&mut self) -> &Probe {
        if let Some(loaded) = &self.loaded {
            self.probe.hooks = loaded.hooks();
        }
        &self.probe
    }

    /// From here on records come.
    pub(crate) fn attach(&mut self) -> Result<(), KernelError> {
        let attached = self.loaded.as_mut().map_or(Ok(()), LoadedProbe::attach);
        self.probe.state = match &attached {
            Ok(()) => ProbeState::Attached,
            Err(error) => ProbeState::Failed(error.to_string()),
        };
        // Which hooks they are, and so what they take, depends on what this kernel has.
        if let Some(loaded) = &self.loaded {
            self.probe.hooks = loaded.hooks();
            self.probe.passed_over = loaded.passed_over().to_vec();
            self.probe.capabilities = loaded.capabilities().into_iter().map(str::to_owned).collect();
        }
        attached
    }

    /// From here on none come; what is in the ring can still be read.
    pub(crate) fn detach(&mut self) {
        self.loaded = None;
        self.probe.state = ProbeState::Detached;
    }
}
