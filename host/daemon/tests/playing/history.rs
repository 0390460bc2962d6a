//! The history of a slot's plugins.

use crate::guests::faulty;
use crate::house::{House, eventually, order};
use host_api::{Client, GetSlots, GetStatus, OnFaults, RollbackPlugin, SlotGeneration, UnloadPlugin};
use host_daemon::config::Config;
use host_daemon::{Daemon, Input};
use host_model::Fallback;

const SAMPLER: &str = r#"
    [plugins.sampler]
    config = { ratio = 0.25 }
    grants = ["clock"]
    limits = { deadlines = { decide = "7ms" }, host_calls = 99 }
    fallback = "drop"
    on_faults = "fallback"
    quarantine = { faults = 5, window = "2m" }
"#;

const THREE: &str = "[plugins.sampler]\nquarantine = { faults = 3, window = \"60s\" }\n";

async fn samplers(client: &Client) -> Vec<SlotGeneration> {
    let mut slots = client.call(&GetSlots).await.unwrap();
    slots.retain(|generation| generation.slot.to_string() == "sampler");
    slots
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_tells_its_configuration_and_its_rules() {
    let house = House::new();
    let daemon = house.playing(SAMPLER).await;
    let [only] = &samplers(&house.client()).await[..] else { panic!() };
    assert_eq!(serde_json::Value::Object(only.config.clone()), serde_json::json!({"ratio": 0.25}));
    assert_eq!((only.grants.as_slice(), only.signer.as_ref()), (&["clock".to_owned()][..], None));
    let limits = &only.limits;
    assert_eq!((limits.deadlines_us.decide, limits.deadlines_us.decode, limits.host_calls), (7_000, 100_000, 99));
    assert_eq!(limits.quarantine.unwrap().to_string(), "5 faults within 120s");
    assert_eq!((only.fallback, only.on_faults), (Fallback::Drop, OnFaults::Fallback));
    assert!(only.live && only.since_unix_ms > 0 && only.health == "healthy", "{only:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kept_generation_can_be_gone_back_to_and_says_how_it_came() {
    let house = House::new();
    let (daemon, client) = (house.playing("").await, house.client());
    for config in [r#"{"ratio": 0.5}"#, r#"{"ratio": 0.2}"#] {
        client.call(&order("sampler-ratio", None, Some(config))).await.unwrap();
    }
    client.call(&order(faulty(), Some("sampler"), Some(r#"{"do": "no-state"}"#))).await.unwrap();
    let had: Vec<_> = samplers(&client).await.into_iter().map(|had| (had.generation, had.live)).collect();
    assert_eq!(had, [(1, false), (2, false), (3, false), (4, true)]);

    let back = RollbackPlugin { slot: "sampler".parse().unwrap(), generation: Some(2) };
    let live = client.call(&back).await.unwrap();
    assert!(live.handover.starts_with("cold: "), "{live:?}");
    let had = samplers(&client).await;
    assert_eq!(had.iter().map(|had| had.live).collect::<Vec<_>>(), [false, true, false, false]);
    assert!(had[1].handover == live.handover && had[1].since_unix_ms >= had[3].since_unix_ms, "{had:?}");
    let swap = client.call(&GetStatus).await.unwrap().swaps.pop().unwrap();
    assert_eq!((swap.reason.as_str(), swap.to.as_str()), ("rollback", "sampler-ratio@0.1.0 (2)"));
    assert!(swap.unix_ms > 0);
    assert!(client.call(&back).await.unwrap().unchanged, "it is live");
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_to_what_was_live_before_and_not_to_what_was_taken_back() {
    let house = House::new();
    let (daemon, client) = (house.playing(THREE).await, house.client());
    let back = RollbackPlugin { slot: "sampler".parse().unwrap(), generation: None };
    client.call(&order("sampler-ratio", None, Some(r#"{"ratio": 0.5}"#))).await.unwrap();
    assert_eq!(client.call(&back).await.unwrap().generation, 1);
    client.call(&order("sampler-ratio", None, Some(r#"{"ratio": 0.2}"#))).await.unwrap();
    assert_eq!(client.call(&back).await.unwrap().generation, 1, "2 was taken back");
    // The same after an automatic rollback.
    client.call(&order("sampler-ratio", None, Some(r#"{"ratio": 0.3}"#))).await.unwrap();
    assert_eq!(client.call(&back).await.unwrap().generation, 1);
    client.call(&order(faulty(), Some("sampler"), Some(r#"{"do": "trap"}"#))).await.unwrap();
    let put_back = |had: &Vec<SlotGeneration>| had[0].live && had.last().unwrap().health.starts_with("quarantined");
    eventually(async || samplers(&client).await, put_back).await;
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_comes_back_with_the_configuration_that_it_had_and_what_is_new_in_the_file_holds() {
    let house = House::new();
    let file = house.state.path().join("host.toml");
    let write = |ratio: &str| std::fs::write(&file, format!("[plugins.sampler]\nconfig = {{ ratio = {ratio} }}\n")).unwrap();
    write("0.25");
    let mut settings = house.settings(Input::Embedded { looping: true });
    settings.config = Config::load(&file).unwrap();
    let (daemon, client) = (Daemon::start(settings).await.unwrap(), house.client());
    let live = async || {
        let live = samplers(&client).await.into_iter().find(|generation| generation.live).unwrap();
        serde_json::Value::Object(live.config)
    };
    let load = async |component: &str, config| client.call(&order(component, Some("sampler"), config)).await.unwrap();
    load(faulty(), Some(r#"{"do": "nothing"}"#)).await;
    load("sampler-ratio", None).await;
    assert_eq!(live().await, serde_json::json!({"ratio": 0.25}), "as before the detour");
    load("sampler-ratio", Some(r#"{"ratio": 0.5}"#)).await;
    load(faulty(), Some(r#"{"do": "nothing"}"#)).await;
    load("sampler-ratio", None).await;
    assert_eq!(live().await, serde_json::json!({"ratio": 0.5}), "what somebody gave it goes on");
    write("0.125");
    assert!(!load("sampler-ratio", None).await.unchanged);
    assert_eq!(live().await, serde_json::json!({"ratio": 0.125}), "the file was changed since");
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_a_slot_that_nothing_is_made_for_hold_for_what_is_loaded_and_end_no_start() {
    let house = House::new();
    let config = "[plugins.\"enricher.x\"]\ngrants = [\"tables\"]\n";
    let (daemon, client) = (house.playing(config).await, house.client());
    client.call(&UnloadPlugin { slot: "enricher.process".parse().unwrap() }).await.unwrap();
    let live = client.call(&order("enricher-process", Some("enricher.x"), None)).await.unwrap();
    assert_eq!(live.paths.len(), 3, "{live:?}");
    assert!(daemon.stop().await.balanced);
}
