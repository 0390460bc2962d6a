//! Hands over the number of calls.

use std::sync::atomic::Ordering::Relaxed;

use crate::exports::probe::plugin::handover::{Guest, State};
use crate::{CALLS, Faulty, forever, told, trap};

impl Guest for Faulty {
    fn export_state() -> Result<State, String> {
        if told("trap-in-export") {
            trap();
        } else if told("loop-in-export") {
            forever();
        } else if told("no-state") {
            return Err("nothing worth handing over".into());
        }
        let bytes = CALLS.load(Relaxed).to_le_bytes();
        let length = if told("state-of-5-mib") { 5 << 20 } else { bytes.len() };
        let mut bytes = bytes.to_vec();
        bytes.resize(length, 0);
        Ok(State { version: 1, bytes })
    }

    fn import_state(state: State) -> Result<(), String> {
        if told("trap-in-import") {
            trap();
        }
        if state.version != 1 {
            return Err(format!("state of version {} is not known", state.version));
        }
        let calls = state.bytes.try_into().map_err(|_| "state has 4 bytes")?;
        CALLS.store(u32::from_le_bytes(calls), Relaxed);
        Ok(())
    }
}
