//! Plugins are changed over the socket while the embedded capture plays.

use crate::house::{House, order, refusal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host_api::{Client, GetSlots, GetStatus, Live, LoadPlugin, Refusal, RollbackPlugin, Status, Step, UnloadPlugin};
use host_daemon::{Daemon, Input};

async fn playing(house: &House) -> Daemon {
    Daemon::start(house.settings(Input::Embedded { looping: true })).await.unwrap()
}

async fn load(client: &Client, component: &str, slot: Option<&str>, config: Option<&str>) -> Result<Live, Refusal> {
    refusal(client.call(&order(component, slot, config)).await)
}

/// Generations of a slot, one per path.
fn generations(status: &Status, slot: &str) -> Vec<u64> {
    let plugins = status.paths.iter().flat_map(|path| &path.plugins);
    plugins.filter(|plugin| plugin.slot == slot).map(|plugin| plugin.generation).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_live_on_every_path_when_its_answer_comes() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    assert_eq!(generations(&client.call(&GetStatus).await.unwrap(), "sampler"), [1, 1, 1]);

    let live = load(&client, "sampler-ratio", None, Some(r#"{"ratio": 0.5}"#)).await.unwrap();
    assert_eq!((live.slot.to_string().as_str(), live.generation, live.unchanged), ("sampler", 2, false));
    let status = client.call(&GetStatus).await.unwrap();
    assert_eq!(generations(&status, "sampler"), [2, 2, 2]);
    let [swap] = status.swaps.as_slice() else { panic!("{:?}", status.swaps) };
    assert!(swap.from.ends_with("(1)") && swap.to.ends_with("(2)") && swap.pause_ns > 0, "{swap:?}");

    let again = load(&client, "sampler-ratio", None, Some(r#"{"ratio": 0.5}"#)).await.unwrap();
    assert_eq!((again.generation, again.unchanged), (2, true), "the same bytes and configuration are live already");
    assert_eq!(client.call(&GetStatus).await.unwrap().swaps.len(), 1);
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bind_that_fails_on_one_path_changes_none() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    let refused = load(&client, "sampler-ratio", None, Some(r#"{"ratio": 7}"#)).await.unwrap_err();
    assert_eq!(refused.step, Step::Bind, "{refused:?}");
    assert!(!refused.cure.is_empty() && refused.message.contains("ratio"), "{refused:?}");

    // The decoder fits the first path only.
    let refused = load(&client, "decoder-exec", Some("decoder.file"), None).await.unwrap_err();
    assert!(refused.message.contains("exec_record") && refused.message.contains("file_record"), "{refused:?}");

    let status = client.call(&GetStatus).await.unwrap();
    assert_eq!(generations(&status, "sampler"), [1, 1, 1]);
    assert_eq!(generations(&status, "decoder.file"), [1]);
    assert!(status.swaps.is_empty());
    assert_eq!(load(&client, "sampler-ratio", None, Some(r#"{"ratio": 0.5}"#)).await.unwrap().generation, 2);
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_takes_new_instances_of_everything_behind_it_along() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    let live = load(&client, "decoder-btf", Some("decoder.file"), None).await.unwrap();
    assert_eq!((live.name.as_str(), live.generation), ("decoder-btf", 2));
    let before = daemon.status().await;
    let rows = |status: &Status| {
        let path = status.paths.iter().find(|path| path.probe == "file").unwrap();
        (path.ledger.decoded, path.plugins.iter().map(|plugin| plugin.traps).sum::<u64>())
    };
    let after = house.until(&daemon, |status| rows(status).0 > rows(&before).0 + 100).await;
    assert_eq!(rows(&after).1, 0, "sampler and enricher read the new schema");

    let rolled_back = RollbackPlugin { slot: "decoder.file".parse().unwrap(), generation: None };
    let live = client.call(&rolled_back).await.unwrap();
    assert_eq!((live.name.as_str(), live.generation), ("decoder-file", 1));
    let refused = refusal(client.call(&rolled_back).await).unwrap_err();
    assert_eq!(refused.step, Step::Rollback);
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_at_the_same_time_go_one_after_the_other() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    let (a, b, c) = tokio::join!(
        load(&client, "sampler-ratio", None, Some(r#"{"ratio": 0.1}"#)),
        load(&client, "sampler-ratio", None, Some(r#"{"ratio": 0.2}"#)),
        load(&client, "enricher-process", None, Some("{}")),
    );
    let mut numbers = [a.unwrap().generation, b.unwrap().generation];
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
    assert!(c.unwrap().unchanged);
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_bytes_that_were_pinned_are_loaded() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    let digest = client.call(&GetSlots).await.unwrap().iter().find(|had| had.name == "sampler-ratio").unwrap().digest.clone();
    let pinned = |pin: &str| LoadPlugin { pin: Some(pin.into()), ..order("sampler-ratio", None, Some(r#"{"ratio": 0.5}"#)) };
    let load = async |pin: &str| refusal(client.call(&pinned(pin)).await);

    let other = load(&format!("sha256:{}", "0".repeat(64))).await.unwrap_err();
    assert_eq!(other.step, Step::Pin);
    assert!(other.message.contains(&digest) && other.message.contains("0000"), "both are told: {other:?}");
    let short = load(&digest[..20]).await.unwrap_err();
    assert!(short.step == Step::Pin && short.message.contains("is not a digest"), "{short:?}");
    assert!(client.call(&GetStatus).await.unwrap().swaps.is_empty());

    assert_eq!(load(&digest).await.unwrap().generation, 2);
    assert!(load(&digest.to_uppercase().replace("SHA256:", "")).await.unwrap().unchanged);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_loads_at_once_leave_every_path_with_the_same_generation() {
    let house = House::new();
    let daemon = playing(&house).await;
    let loads = (0..10).map(|load| {
        let (client, config) = (house.client(), format!(r#"{{"ratio": 0.{load}}}"#));
        tokio::spawn(async move { client.call(&order("sampler-ratio", None, Some(&config))).await.unwrap() })
    });
    let mut numbers = Vec::new();
    for load in loads.collect::<Vec<_>>() {
        numbers.push(load.await.unwrap().generation);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=11).collect::<Vec<_>>(), "each got a number of its own");
    let status = daemon.status().await;
    assert_eq!(generations(&status, "sampler"), [11, 11, 11]);
    let chain: Vec<_> = status.swaps.iter().map(|swap| (swap.from.as_str(), swap.to.as_str())).collect();
    assert!(chain.windows(2).all(|two| two[0].1 == two[1].0), "each began where the one before ended: {chain:?}");
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_can_be_emptied_but_no_path_does_without_its_decoder() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    client.call(&UnloadPlugin { slot: "sampler".parse().unwrap() }).await.unwrap();
    assert!(generations(&client.call(&GetStatus).await.unwrap(), "sampler").is_empty());
    let decoder = UnloadPlugin { slot: "decoder.tcp".parse().unwrap() };
    assert!(refusal(client.call(&decoder).await).unwrap_err().message.contains("decoder"));
    assert_eq!(generations(&client.call(&GetStatus).await.unwrap(), "decoder.tcp"), [1]);
    let back = RollbackPlugin { slot: "sampler".parse().unwrap(), generation: None };
    assert_eq!(client.call(&back).await.unwrap().generation, 1);
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_with_its_step_and_cure() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    let bytes = |bytes: &[u8]| LoadPlugin { bytes_base64: Some(STANDARD.encode(bytes)), ..LoadPlugin::default() };
    let path = |path: &str| LoadPlugin { path: Some(path.into()), ..LoadPlugin::default() };
    let sampler = plugins::component("sampler-ratio").unwrap().bytes;
    let cases = [
        (bytes(b""), "inspect"),
        (bytes(b"\x7fELF"), "inspect"),
        (bytes(&sampler[..sampler.len() / 2]), "inspect"),
        (path("/"), "read"),
        (path("/no/such/plugin.wasm"), "read"),
        (path("sampler-nobody"), "read"),
        (LoadPlugin { slot: Some("decoder.tcp".parse().unwrap()), ..path("sampler-ratio") }, "inspect"),
        (LoadPlugin { slot: Some("decoder.dns".parse().unwrap()), ..path("decoder-tcp") }, "slot"),
        (LoadPlugin { slot: Some("enricher.other".parse().unwrap()), ..path("enricher-process") }, "grant"),
        (path("decoder-btf"), "slot"),
        (LoadPlugin::default(), "request"),
    ];
    for (load, step) in cases {
        let refused = refusal(client.call(&load).await).unwrap_err();
        assert_eq!(refused.step, Step::from(step), "{refused:?}");
        assert!(!refused.message.is_empty() && !refused.cure.is_empty(), "{refused:?}");
    }
    assert!(client.call(&GetStatus).await.unwrap().swaps.is_empty());
    assert!(daemon.stop().await.balanced);
}
