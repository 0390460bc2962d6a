//! Lookups at a real server, mutated.

use decoder_dns::Dns;
use plugin_sdk::testing::{Talk, mutated};

#[test]
fn a_hundred_thousand_mutated_conversations_are_survived() {
    let (udp, tcp) = (include_str!("conversations/udp.txt"), include_str!("conversations/tcp.txt"));
    let talks = [
        Talk::udp("10.0.0.7:40000", 53).script(udp).after_ms(3000).tick(),
        Talk::udp("10.0.0.7:40000", 53).at_client().cut(60).script(udp),
        Talk::tcp("10.0.0.7:40000", 53).script(tcp).end(),
        Talk::tcp("10.0.0.7:40000", 53).cut(30).script(tcp).end(),
    ];
    // Without optimisation a tenth takes some seconds.
    let count = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let sum = mutated::<Dns>(&talks, count, 4711);
    assert!(sum.conversations == count && sum.rows > count, "{sum:?}");
}
