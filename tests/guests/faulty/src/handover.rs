//! Hands over how many calls there were.

use std::sync::atomic::Ordering::Relaxed;

use crate::exports::probe::plugin::handover::{Guest, State};
use crate::{CALLS, Faulty, told, trap};

impl Guest for Faulty {
    fn export_state() -> Result<State, String> {
        if told("trap-in-export") {
            trap();
        }
        Ok(State { version: 1, bytes: CALLS.load(Relaxed).to_le_bytes().to_vec() })
    }

    fn import_state(state: State) -> Result<(), String> {
        if state.version != 1 {
            return Err(format!("state of version {} is not known", state.version));
        }
        let calls = state.bytes.try_into().map_err(|_| "state has 4 bytes")?;
        CALLS.store(u32::from_le_bytes(calls), Relaxed);
        Ok(())
    }
}
