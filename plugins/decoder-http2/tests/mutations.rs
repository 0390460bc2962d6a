//! Mutated conversations.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod wire;

use decoder_http2::Http2;
use plugin_sdk::testing::mutated;

use wire::{conversation, say, talk};

/// Number of conversations: a few seconds of them. A debug build is slower, and checks arithmetic.
const CONVERSATIONS: u64 = if cfg!(debug_assertions) { 15_000 } else { 100_000 };

#[test]
fn no_mutation_of_a_real_conversation_is_a_panic() {
    let calls = [conversation!("grpc"), conversation!("h2load"), conversation!("httpx"), conversation!("nghttp")];
    let mut talks: Vec<_> = calls.iter().map(|calls| talk(calls).end()).collect();
    // From the middle, and captured at the client with few bytes per call.
    talks.push(talk(&calls[0][20..]).end());
    talks.push(say(talk(&[]).at_client().cut(64), &calls[1]).tick().end());
    let sum = mutated::<Http2>(&talks, CONVERSATIONS, 2);
    assert_eq!(sum.conversations, CONVERSATIONS);
    assert!(sum.rows > 5 * CONVERSATIONS, "most of them are still read: {sum:?}");
}
