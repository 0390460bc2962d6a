//! A component as a [`Recogniser`]: takes first bytes of connections, returns opinions.

use std::sync::Arc;

use host_model::{Beginnings, CallStats, Description, Fault, Opinion, PluginId, Recogniser};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::breach::Breach;
use crate::decoder::{DecoderRole, Guest};
use crate::guard::{Call, Guard};
use crate::imports::Imports;
use crate::instance::{Failure, Role};
use crate::refusal::Step;
use crate::version::v0_1::exports::probe::plugin::protocol;
use crate::version::v0_1::nouns;
use crate::version::v0_1::probe::plugin::columns::ValuesParam;

/// The role of a recogniser: bound like a decoder, then asked for the protocol that it decodes.
pub(crate) struct RecogniserRole(pub(crate) DecoderRole);

/// The recogniser beside the decoder of one path.
pub(crate) struct WasmRecogniser {
    guard: Guard<RecogniserRole>,
}

// === impl RecogniserRole ===

impl Role for RecogniserRole {
    type Guest = Guest;
    type Bound = Description;

    fn guest(pre: &InstancePre<Imports>, store: &mut Store<Imports>, instance: &Instance) -> wasmtime::Result<Guest> {
        DecoderRole::guest(pre, store, instance)
    }

    fn bind(&self, store: &mut Store<Imports>, guest: &Guest, config: &str) -> Result<Description, Failure> {
        self.0.bind(store, guest, config)?;
        let described = speaks(guest).and_then(|guest| guest.call_describe(store));
        let description = nouns::description(described.map_err(|error| Failure::Ended(Step::Bind, error))?);
        description.check().map_err(|error| Failure::Breach(Step::Bind, error.into()))?;
        Ok(description)
    }
}

// === impl WasmRecogniser ===

impl WasmRecogniser {
    pub(crate) fn new(guard: Guard<RecogniserRole>) -> Self {
        Self { guard }
    }
}

impl Recogniser for WasmRecogniser {
    fn id(&self) -> &PluginId {
        self.guard.id()
    }

    fn stats(&self) -> &Arc<CallStats> {
        self.guard.stats()
    }

    fn description(&self) -> &Description {
        self.guard.bound()
    }

    fn recognise(&mut self, beginnings: &Beginnings) -> Result<Vec<Opinion>, Fault> {
        let Beginnings { ports, senders, transports, offsets, bytes } = beginnings;
        let payloads = ValuesParam { offsets, bytes };
        let asked = protocol::Beginnings { ports, senders, transports, payloads };
        self.guard.call(
            Call::Recognise,
            beginnings.len(),
            |store, guest| Ok(Ok(speaks(guest)?.call_recognise(store, asked)?)),
            |opinions, _| checked(&opinions, beginnings.len()),
        )
    }
}

/// Returns its interface `protocol`, which every recogniser has.
fn speaks(guest: &Guest) -> wasmtime::Result<&protocol::Guest> {
    guest.protocol.as_ref().ok_or_else(|| wasmtime::Error::msg("it does not export `protocol`"))
}

fn checked(opinions: &[u8], beginnings: usize) -> Result<Vec<Opinion>, Breach> {
    if opinions.len() != beginnings {
        return Err(Breach::Opinions { is: opinions.len(), must: beginnings });
    }
    let opinion = |&number: &u8| match number {
        0 => Ok(Opinion::No),
        1 => Ok(Opinion::Unsure),
        2 => Ok(Opinion::Yes),
        3 => Ok(Opinion::YesClient),
        4 => Ok(Opinion::YesServer),
        other => Err(Breach::Opinion(other)),
    };
    opinions.iter().map(opinion).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_opinion_for_each_beginning() {
        assert_eq!(checked(&[0, 3], 2), Ok(vec![Opinion::No, Opinion::YesClient]));
        assert_eq!(checked(&[0], 2), Err(Breach::Opinions { is: 1, must: 2 }));
        assert_eq!(checked(&[0, 5], 2), Err(Breach::Opinion(5)));
    }
}
