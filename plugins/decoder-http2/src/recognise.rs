//! Is it HTTP/2? Connections that are older than the host begin in the middle.

use plugin_sdk::conversation::{Beginning, Opinion, Sender, Transport};

use crate::fields::Fields;
use crate::frame::{self, FRAME_BYTES, HEAD_BYTES, Head, PREFACE, chain};
use crate::hpack::{self, Scratch, table::Table};
use crate::upgrade::{self, Upgrade};

/// What the first bytes that were seen of an end say.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    let (bytes, sender) = (beginning.payload, beginning.sender);
    if beginning.transport != Transport::Tcp {
        return Opinion::No;
    }
    if sender != Some(Sender::Server) && bytes.starts_with(PREFACE) {
        return Opinion::FromClient;
    }
    if sender != Some(Sender::Client) && matches!(upgrade::consent(bytes, 0), Upgrade::Here(..)) {
        return Opinion::FromServer;
    }
    if bytes.len() < HEAD_BYTES {
        let may_become = PREFACE.starts_with(bytes) || bytes.first() == Some(&0);
        return if may_become { Opinion::Unsure } else { Opinion::No };
    }
    let mut speaker = None;
    let frames = chain(bytes, 0, |head| head.is_plausible(sender, FRAME_BYTES));
    let Some(frames) = frames else { return Opinion::No };
    if let Some(head) = Head::read(bytes) {
        speaker = speaks(head, bytes.get(HEAD_BYTES..).unwrap_or_default());
    }
    match speaker {
        Some(Sender::Client) => Opinion::FromClient,
        Some(Sender::Server) => Opinion::FromServer,
        None if frames.is_even || frames.heads > 1 => Opinion::Yes,
        // One frame that goes on behind what was captured: any nine bytes look like it once in a while.
        None => Opinion::Unsure,
    }
}

/// Which end sends such a frame as its first, if it can be told.
fn speaks(head: Head, payload: &[u8]) -> Option<Sender> {
    match head.kind {
        // The client's first come with the preface, or right behind it.
        frame::SETTINGS if !head.has(1) && payload.len() >= head.length as usize => Some(Sender::Server),
        frame::PUSH_PROMISE => Some(Sender::Server),
        frame::HEADERS => {
            let mut fields = Fields::default();
            let (mut table, mut scratch) = (Table::default(), Scratch::default());
            hpack::read(head.block(payload), &mut table, &mut scratch, |name, value| fields.take(name, value));
            match fields.status {
                0 if fields.has_pseudo => Some(Sender::Client),
                0 => None,
                _ => Some(Sender::Server),
            }
        }
        _ => None,
    }
}
