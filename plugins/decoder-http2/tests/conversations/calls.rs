//! Conversations of real programs, as a proxy between them saw them.
//!
//! A file has one call behind the other: who (0 client, 1 server), how many bytes (u32), and the first 4096 of these in pieces: some
//! bytes (u16, then the bytes) and one byte repeated (u16, then the byte), until they are complete. Numbers are little-endian.
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
        $crate::calls::calls(include_bytes!(concat!($name, ".calls")))
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
