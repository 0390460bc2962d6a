//! Parts of conversations: calls of real programs, as a proxy between them recorded them, and frames that a real program sends never or
//! only on request.
//!
//! A file holds calls one behind the other: the sender (0 client, 1 server), the length (u32), and the first 4096 bytes in pieces until
//! they are complete: literal bytes (u16 length, then the bytes) and one repeated byte (u16 count, then the byte). Numbers are
//! little-endian.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test needs some of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use plugin_sdk::testing::Talk;

/// The bytes that one end sent in one call.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) is_server: bool,
    /// Has the length of the call; bytes that were not captured are 0.
    pub(crate) bytes: Vec<u8>,
}

/// Number of bytes of each call that are captured.
pub(crate) const CAPTURED: usize = 4096;

macro_rules! conversation {
    ($name:literal) => {
        $crate::wire::calls(include_bytes!(concat!("conversations/", $name, ".calls")))
    };
}
pub(crate) use conversation;

/// Parses the calls of a file.
pub(crate) fn calls(mut file: &[u8]) -> Vec<Call> {
    let mut calls = Vec::new();
    while let Some((&[who, a, b, c, d], mut rest)) = file.split_first_chunk() {
        let total = u32::from_le_bytes([a, b, c, d]) as usize;
        let mut bytes = Vec::new();
        while bytes.len() < total.min(CAPTURED) {
            let (length, behind) = rest.split_first_chunk().unwrap();
            let (some, behind) = behind.split_at(usize::from(u16::from_le_bytes(*length)));
            let (&[low, high, byte], behind) = behind.split_first_chunk().unwrap();
            bytes.extend_from_slice(some);
            bytes.resize(bytes.len() + usize::from(u16::from_le_bytes([low, high])), byte);
            rest = behind;
        }
        bytes.resize(total, 0);
        calls.push(Call { is_server: who == 1, bytes });
        file = rest;
    }
    calls
}

/// Returns these calls on a connection, captured at the server.
pub(crate) fn talk(calls: &[Call]) -> Talk {
    say(Talk::tcp("10.0.0.7:40000", 8080).cut(CAPTURED), calls)
}

/// Appends these calls.
pub(crate) fn say(talk: Talk, calls: &[Call]) -> Talk {
    calls.iter().fold(talk, |talk, call| if call.is_server { talk.server(&call.bytes) } else { talk.client(&call.bytes) })
}

// === Frames ===

/// Returns the first bytes of a client: preface and empty SETTINGS.
pub(crate) fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0, b"").as_slice()].concat()
}

/// Encodes a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Encodes a header block of these fields, none of which is added to a table.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                len @ ..127 => block.push(len as u8),
                // A number that does not fit into seven bits continues in the bytes behind (RFC 7541, 5.1).
                len => block.extend([127, ((len - 127) % 128) as u8 | 128, ((len - 127) / 128) as u8]),
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Encodes HEADERS of a request for this path, without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", path)];
    frame(1, 0x5, stream, &block(&fields))
}

/// Encodes HEADERS of a response with this status; a body follows unless `is_last`.
pub(crate) fn answer(stream: u32, status: &str, is_last: bool) -> Vec<u8> {
    frame(1, 0x4 | u8::from(is_last), stream, &block(&[(":status", status)]))
}
