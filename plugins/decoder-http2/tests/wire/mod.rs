//! What conversations are made of: calls of real programs, as a proxy between them saw them, and frames that no real program would
//! send, or not when it is asked to.
//!
//! A file of calls has one behind the other: who (0 client, 1 server), how many bytes (u32), and the first 4096 of these in pieces: some
//! bytes (u16, then the bytes) and one byte repeated (u16, then the byte), until they are complete. Numbers are little-endian.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test needs some of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use plugin_sdk::testing::Talk;

/// What one end sent in one call.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) is_server: bool,
    /// As long as the call was; what was not captured is 0.
    pub(crate) bytes: Vec<u8>,
}

/// Of each call this much is captured.
pub(crate) const CAPTURED: usize = 4096;

macro_rules! conversation {
    ($name:literal) => {
        $crate::wire::calls(include_bytes!(concat!("conversations/", $name, ".calls")))
    };
}
pub(crate) use conversation;

/// The calls of a file.
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

/// These calls on a connection, seen at the server.
pub(crate) fn talk(calls: &[Call]) -> Talk {
    say(Talk::tcp("10.0.0.7:40000", 8080).cut(CAPTURED), calls)
}

/// These calls follow.
pub(crate) fn say(talk: Talk, calls: &[Call]) -> Talk {
    calls.iter().fold(talk, |talk, call| if call.is_server { talk.server(&call.bytes) } else { talk.client(&call.bytes) })
}

// === Frames ===

/// What a client begins with, and empty SETTINGS.
pub(crate) fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0, b"").as_slice()].concat()
}

/// A frame of this type, with these flags, on this stream.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![a, b, c, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block of these fields, none of which goes into a table.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                len @ ..127 => block.push(len as u8),
                // A number that seven bits do not hold goes on in the bytes behind (RFC 7541, 5.1).
                len => block.extend([127, ((len - 127) % 128) as u8 | 128, ((len - 127) / 128) as u8]),
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// HEADERS of a request for this path, with nothing behind it.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", path)];
    frame(1, 0x5, stream, &block(&fields))
}

/// HEADERS of a response with this status; a body follows unless it is the last frame.
pub(crate) fn answer(stream: u32, status: &str, is_last: bool) -> Vec<u8> {
    frame(1, 0x4 | u8::from(is_last), stream, &block(&[(":status", status)]))
}
