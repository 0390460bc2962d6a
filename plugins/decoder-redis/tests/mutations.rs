//! Conversations with a real server, mutated.

use decoder_redis::Redis;
use plugin_sdk::testing::{Talk, mutated};

#[test]
fn a_hundred_thousand_mutated_conversations_are_survived() {
    let scripts = [
        include_str!("conversations/commands.txt"),
        include_str!("conversations/resp3.txt"),
        include_str!("conversations/pubsub.txt"),
        include_str!("conversations/monitor.txt"),
        include_str!("conversations/reply.txt"),
        include_str!("conversations/inline.txt"),
        include_str!("conversations/parts.txt"),
        include_str!("conversations/pipeline.txt"),
        include_str!("conversations/protocol.txt"),
    ];
    let talk = |script: &&str| Talk::tcp("10.0.0.7:40000", 6379).script(script).end();
    let mut talks: Vec<Talk> = scripts.iter().map(talk).collect();
    talks.push(Talk::tcp("10.0.0.7:40000", 6379).cut(256).script(include_str!("conversations/large.txt")));
    talks.push(Talk::tcp("10.0.0.7:40000", 6379).cut(100).script(include_str!("conversations/pipeline.txt")).tick());
    // Without optimisation a tenth takes some seconds.
    let count = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let sum = mutated::<Redis>(&talks, count, 4711);
    assert!(sum.conversations == count && sum.rows > count, "{sum:?}");
}
