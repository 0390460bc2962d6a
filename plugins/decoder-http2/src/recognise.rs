//! Decides by its first bytes whether a connection speaks HTTP/2. Connections that are older than the host begin in the middle.

use plugin_sdk::conversation::{Beginning, Description, Opinion, Sender, Signature, Transport};

use crate::fields::Fields;
use crate::frame::{self, FRAME_BYTES, HEAD_BYTES, Head, PREFACE, follow_chain};
use crate::hpack::{self, Scratch, table::Table};
use crate::upgrade::{self, Upgrade};

/// Number of bytes of a call that are captured: one call holds many responses.
const CAPTURE_BYTES: u32 = 4096;

/// The ports and signatures by which the host finds connections.
pub(crate) fn description() -> Description {
    // SETTINGS on stream 0, shorter than 256 bytes: the first frame of a server. These nine bytes can also occur by chance.
    let settings = Signature::server(&[0, 0, 0, frame::SETTINGS, 0, 0, 0, 0, 0])
        .masked(&[0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        .tcp();
    Description::new("http2")
        .signature(Signature::client(PREFACE).tcp().certain())
        .signature(settings)
        .on_port(50051)
        .on_port(443)
        .capture_bytes(CAPTURE_BYTES)
}

/// Returns the opinion about the first bytes that an end sent.
pub(crate) fn recognise(beginning: &Beginning<'_>) -> Opinion {
    let (bytes, sender) = (beginning.payload, beginning.sender);
    if beginning.transport != Transport::Tcp {
        return Opinion::No;
    }
    if sender != Some(Sender::Server) && bytes.starts_with(PREFACE) {
        return Opinion::FromClient;
    }
    if sender != Some(Sender::Client) && matches!(upgrade::parse_consent(bytes, 0), Upgrade::Here(..)) {
        return Opinion::FromServer;
    }
    if bytes.len() < HEAD_BYTES {
        let may_become = PREFACE.starts_with(bytes) || bytes.first() == Some(&0);
        return if may_become { Opinion::Unsure } else { Opinion::No };
    }
    let mut speaker = None;
    let frames = follow_chain(bytes, 0, |head| head.is_plausible(sender, FRAME_BYTES));
    let Some(frames) = frames else { return Opinion::No };
    if let Some(head) = Head::read(bytes) {
        speaker = sender_of(head, bytes.get(HEAD_BYTES..).unwrap_or_default());
    }
    match speaker {
        Some(Sender::Client) => Opinion::FromClient,
        Some(Sender::Server) => Opinion::FromServer,
        None if frames.is_even || frames.heads > 1 => Opinion::Yes,
        // One frame that continues behind the captured bytes: nine arbitrary bytes look like one now and then.
        None => Opinion::Unsure,
    }
}

/// Returns the end that sends such a frame as its first, if that is certain.
fn sender_of(head: Head, payload: &[u8]) -> Option<Sender> {
    match head.kind {
        // The client's first SETTINGS come with the preface, or right behind it.
        frame::SETTINGS if !head.has(1) && payload.len() >= head.length as usize => Some(Sender::Server),
        frame::PUSH_PROMISE => Some(Sender::Server),
        frame::HEADERS => {
            let mut fields = Fields::default();
            let (mut table, mut scratch) = (Table::default(), Scratch::default());
            hpack::read(head.block(payload), &mut table, &mut scratch, |name, value| fields.add(name, value));
            match fields.status {
                0 if fields.has_pseudo => Some(Sender::Client),
                0 => None,
                _ => Some(Sender::Server),
            }
        }
        _ => None,
    }
}
