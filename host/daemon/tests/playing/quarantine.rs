//! Plugins that fault again and again.

use host_api::{Client, GetSlots, GetStatus, Live, PluginState, RollbackPlugin, SlotGeneration, Status};

use crate::guests::faulty;
use crate::house::{House, eventually, order};

const THREE: &str = "quarantine = { faults = 3, window = \"60s\" }\n";

async fn load(client: &Client, slot: &str, config: &str) -> Live {
    client.call(&order(faulty(), Some(slot), Some(config))).await.unwrap()
}

async fn generation(client: &Client, slot: &str, number: u64) -> SlotGeneration {
    let slots = client.call(&GetSlots).await.unwrap();
    slots.into_iter().find(|had| had.slot.to_string() == slot && had.generation == number).unwrap()
}

/// Generations and states of a slot, one per path.
fn states(status: &Status, slot: &str) -> Vec<(u64, PluginState)> {
    let plugins = status.paths.iter().flat_map(|path| &path.plugins).filter(|plugin| plugin.slot == slot);
    plugins.map(|plugin| (plugin.generation, plugin.state)).collect()
}

/// Returns the swaps that the host made automatically: from and to.
fn by_itself(status: &Status) -> Vec<(String, String)> {
    let quarantined = status.swaps.iter().filter(|swap| swap.reason.starts_with("quarantined: "));
    quarantined.map(|swap| (swap.from.clone(), swap.to.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_earlier_generation_that_was_healthy_is_put_back_by_itself() {
    let house = House::new();
    let (daemon, client) = (house.playing(&format!("[plugins.sampler]\n{THREE}")).await, house.client());
    assert_eq!(load(&client, "sampler", r#"{"do": "trap"}"#).await.generation, 2);
    let status = house.until(&daemon, |status| !by_itself(status).is_empty()).await;
    assert_eq!(by_itself(&status), [("faulty@1.2.3 (2)".into(), "sampler-ratio@0.1.0 (1)".into())]);
    let swap = status.swaps.last().unwrap();
    assert!(swap.reason.contains("3 faults within 60s on path "), "{swap:?}");
    assert!(swap.handover.starts_with("cold: "), "{swap:?}");
    assert_eq!(states(&daemon.status().await, "sampler"), [(1, PluginState::Live); 3]);
    let given_up = generation(&client, "sampler", 2).await;
    assert!(given_up.health.starts_with("quarantined: 3 faults"), "{given_up:?}");

    // Another bad generation: the rollback skips the first bad one.
    assert_eq!(load(&client, "sampler", r#"{"do": "trap", "and": "again"}"#).await.generation, 3);
    let status = house.until(&daemon, |status| by_itself(status).len() == 2).await;
    assert_eq!(by_itself(&status)[1], ("faulty@1.2.3 (3)".into(), "sampler-ratio@0.1.0 (1)".into()));

    // An operator may roll back to it all the same, and it is judged anew.
    let back = RollbackPlugin { slot: "sampler".parse().unwrap(), generation: Some(2) };
    assert_eq!(client.call(&back).await.unwrap().generation, 2);
    house.until(&daemon, |status| by_itself(status).len() == 3).await;
    assert_eq!(states(&daemon.status().await, "sampler"), [(1, PluginState::Live); 3]);
    let report = daemon.stop().await;
    assert!(report.balanced, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_fallback_it_stays_where_it_is_and_its_rows_go_on() {
    let house = House::new();
    let config = format!("[plugins.sampler]\non_faults = \"fallback\"\n{THREE}");
    let (daemon, client) = (house.playing(&config).await, house.client());
    load(&client, "sampler", r#"{"do": "trap"}"#).await;
    let all = |status: &Status| states(status, "sampler").iter().all(|state| *state == (2, PluginState::Quarantined));
    let before = house.until(&daemon, all).await;
    let kept = |status: &Status| status.paths.iter().map(|path| path.ledger.kept).sum::<u64>();
    let after = house.until(&daemon, |status| kept(status) > kept(&before) + 100).await;
    assert!(by_itself(&after).is_empty());
    assert!(after.paths.iter().flat_map(|path| &path.plugins).any(|plugin| plugin.faults.len() > 1), "traps, and rests");
    eventually(async || generation(&client, "sampler", 2).await, |two| two.health.starts_with("quarantined: ")).await;

    let again = load(&client, "sampler", r#"{"do": "trap"}"#).await;
    assert_eq!((again.generation, again.unchanged), (3, false), "the same again is a new beginning");
    assert!(again.notes.iter().any(|note| note.contains("quarantined") && note.contains("generation 2")), "{again:?}");
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_earlier_generation_it_falls_back_too() {
    let house = House::new();
    let config = format!("[plugins.\"enricher.odd\"]\ncomponent = {:?}\nconfig = {{ do = \"trap\" }}\n{THREE}", faulty());
    let (daemon, client) = (house.playing(&config).await, house.client());
    let all = |status: &Status| states(status, "enricher.odd").iter().all(|state| *state == (1, PluginState::Quarantined));
    house.until(&daemon, all).await;
    eventually(async || generation(&client, "enricher.odd", 1).await, |one| one.health.starts_with("quarantined: ")).await;
    assert!(client.call(&GetStatus).await.unwrap().swaps.is_empty());
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_off_it_is_tried_again_and_again() {
    let house = House::new();
    let (daemon, client) = (house.playing("[plugins.sampler]\non_faults = \"off\"\n").await, house.client());
    load(&client, "sampler", r#"{"do": "trap"}"#).await;
    let rests = |status: &Status| states(status, "sampler").contains(&(2, PluginState::BackingOff));
    let status = house.until(&daemon, rests).await;
    assert!(!states(&status, "sampler").contains(&(2, PluginState::Quarantined)));
    assert!(generation(&client, "sampler", 2).await.health.starts_with("faulty: "), "it has had faults");
    load(&client, "sampler", r#"{"do": "nothing"}"#).await;
    assert!(generation(&client, "sampler", 2).await.health.starts_with("faulty: "), "also when it has gone");
    assert_eq!(generation(&client, "sampler", 3).await.health, "healthy");
    assert_eq!(generation(&client, "sampler", 2).await.limits.quarantine, None);
    assert!(daemon.stop().await.balanced);
}
