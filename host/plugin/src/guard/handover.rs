//! Hands the state of a plugin to its successor, or to its own next instance.

use host_model::{Fault, FaultKind, State};

use super::{Ended, Guard};
use crate::backoff::Standing;
use crate::breach::Breach;
use crate::instance::Role;
use crate::version::v0_1::exports::probe::plugin::handover::StateParam;

const EXPORT: &str = "export-state";
const IMPORT: &str = "import-state";

/// Maximum number of bytes of an answer beyond its state: its frame, or the text of an error.
const FRAME: usize = 64 << 10;

impl<R: Role> Guard<R> {
    /// Exports the state for a successor; None if the plugin has no handover.
    pub(crate) fn export_state(&mut self) -> Result<Option<State>, Fault> {
        if let Standing::Quarantined(words) = self.backoff.standing() {
            let detail = format!("its state is gone: {words}");
            return Err(self.fault(EXPORT, Ended { kind: FaultKind::Quarantined, detail }));
        }
        self.hand_out().map_err(|ended| self.offend(EXPORT, ended))
    }

    /// Imports a predecessor's state. Returns whether the plugin accepts one.
    pub(crate) fn import_state(&mut self, state: &State) -> Result<bool, Fault> {
        self.ready(IMPORT)?;
        self.take_in(state).map_err(|ended| self.offend(IMPORT, ended))
    }

    pub(super) fn hand_out(&mut self) -> Result<Option<State>, Ended> {
        let Some(instance) = &mut self.live else {
            let detail = "its instance is gone after a fault, and its state with it".into();
            return Err(Ended { kind: FaultKind::BackingOff, detail });
        };
        let Some(handover) = instance.handover.clone() else { return Ok(None) };
        let limits = &self.blueprint.setup.limits;
        let (most, deadline, output_bytes) = (limits.state_bytes, limits.deadlines.handover, limits.output_bytes);
        // A larger state is not copied.
        instance.store.set_hostcall_fuel(most.saturating_add(FRAME));
        let state = self.enter(deadline, |instance| handover.call_export_state(&mut instance.store));
        if let Some(instance) = &mut self.live {
            instance.store.set_hostcall_fuel(output_bytes);
        }
        let state = state.map_err(|ended| ended.of_state(most))?;
        match state.bytes.len() {
            is if is > most => Err(Breach::State { most }.into()),
            _ => Ok(Some(State { version: state.version, bytes: state.bytes })),
        }
    }

    pub(super) fn take_in(&mut self, state: &State) -> Result<bool, Ended> {
        let Some(handover) = self.live.as_ref().and_then(|instance| instance.handover.clone()) else { return Ok(false) };
        let limits = &self.blueprint.setup.limits;
        let (is, most, deadline) = (state.bytes.len(), limits.state_bytes, limits.deadlines.handover);
        if is > most {
            let detail = format!("the state of its predecessor has {is} bytes; it may be handed {most} (`state_bytes`)");
            return Err(Ended { kind: FaultKind::Refused, detail });
        }
        let state = StateParam { version: state.version, bytes: &state.bytes };
        self.enter(deadline, |instance| handover.call_import_state(&mut instance.store, state))?;
        Ok(true)
    }
}

// === impl Ended ===

impl Ended {
    /// Returns the fault of a state that was too large.
    fn of_state(self, most: usize) -> Self {
        if self.kind == FaultKind::Output { Breach::State { most }.into() } else { self }
    }
}
