//! Hands the connections over to a successor in the same slot.

use serde::{Deserialize, Serialize};

use super::Protocol;
use super::decoder::Conversations;
use super::early::Early;
use super::link::Link;
use super::rows::Source;
use super::stream::Stream;
use super::table::{Entry, Key};
use crate::role::Handover;
use crate::wit::State;

/// The format of the state around a protocol's own. It is the upper half of the version.
const FORMAT: u32 = 3;

/// Maximum length of the state; the connections that were silent longest are omitted. 4 MiB: the host's default limit.
const MOST: usize = 4 << 20;

/// One connection.
#[derive(Serialize, Deserialize)]
struct Saved<L, S, E, C> {
    key: Key,
    link: L,
    streams: S,
    early: E,
    is_foreign: bool,
    heard_ns: u64,
    state: C,
}

// === impl Conversations ===

impl<P: Protocol> Conversations<P> {
    const VERSION: u32 = FORMAT << 16 | P::STATE_VERSION as u32;
}

impl<P: Protocol> Handover for Conversations<P> {
    fn export_state(&mut self) -> Result<State, String> {
        let mut bytes = Vec::new();
        for entry in self.connections.newest_first() {
            let Entry { key, source, streams, early, is_foreign, heard_ns, state, .. } = entry;
            let (is_foreign, heard_ns) = (*is_foreign, *heard_ns);
            let saved = Saved { key: *key, link: source.link, streams, early, is_foreign, heard_ns, state };
            let one = postcard::to_allocvec(&saved).map_err(|error| format!("a connection cannot be written: {error}"))?;
            if bytes.len() + one.len() + 4 > MOST {
                break;
            }
            bytes.extend_from_slice(&(one.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&one);
        }
        Ok(State { version: Self::VERSION, bytes })
    }

    fn import_state(&mut self, state: State) -> Result<(), String> {
        if state.version != Self::VERSION {
            let (is, wanted) = (state.version, Self::VERSION);
            return Err(format!("the state has version {is:#x}, and this reads {wanted:#x}: connections are met anew"));
        }
        let mut saved = Vec::new();
        let mut rest = &*state.bytes;
        while let Some((len, behind)) = rest.split_first_chunk() {
            let (one, behind) = behind.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or("the state is cut short")?;
            let one: Saved<Link, [Stream; 2], Early, P::Connection> =
                postcard::from_bytes(one).map_err(|error| format!("a connection cannot be read: {error}"))?;
            saved.push(one);
            rest = behind;
        }
        // The oldest were written last, and are added first.
        for Saved { key, link, streams, early, is_foreign, heard_ns, state } in saved.into_iter().rev() {
            let gone =
                [self.connections.remove(key), self.connections.is_full().then(|| self.connections.remove_oldest()).flatten()];
            self.weight -= gone.iter().flatten().map(|entry| entry.weight).sum::<usize>();
            let source = Source::new(link);
            let mut entry = Entry { key, source, state, streams, early, is_foreign, weight: 0, heard_ns };
            entry.weight = entry.kept() + P::weight(&entry.state);
            self.weight += entry.weight;
            self.connections.add(entry);
        }
        Ok(())
    }
}
