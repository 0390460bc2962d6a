//! Conversations with a real server, mutated.

use decoder_memcached::Memcached;
use plugin_sdk::testing::{Talk, mutated};

#[test]
fn a_hundred_thousand_mutated_conversations_are_survived() {
    let scripts = [
        include_str!("conversations/text.txt"),
        include_str!("conversations/meta.txt"),
        include_str!("conversations/binary.txt"),
    ];
    let talk = |cut: usize, script: &str| Talk::tcp("10.0.0.7:40000", 11211).cut(cut).script(script);
    let mut talks: Vec<Talk> = scripts.iter().map(|script| talk(2048, script).end()).collect();
    talks.push(talk(256, include_str!("conversations/large.txt")).end());
    talks.push(talk(20, include_str!("conversations/text.txt")).tick());
    // Without optimisation a tenth takes some seconds.
    let count = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let sum = mutated::<Memcached>(&talks, count, 4711);
    assert!(sum.conversations == count && sum.rows > count, "{sum:?}");
}
