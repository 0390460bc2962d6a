//! Candidates beside live plugins.

use std::time::Duration;

use crate::guests::faulty;
use crate::house::{House, eventually, order, refusal};
use host_api::{
    Client, ComparePlugin, DiscardPlugin, Endpoint, GetShadows, GetStatus, PromotePlugin, Refusal, ShadowPlugin, ShadowState,
    ShadowStatus, Slot, Step,
};
use host_daemon::Daemon;
use hyper::Method;
use serde::{Deserialize, Serialize};

/// A sampler that keeps half of the rows by a hash: its decisions are always the same.
const HALF: &str = r#"{"ratio": 0.5, "hash": ["process.pid"], "keep_failed": false, "slow_ms": 0}"#;
const NONE: &str = r#"{"ratio": 0.0, "keep_failed": false, "slow_ms": 0}"#;

async fn playing(house: &House) -> (Daemon, Client) {
    (house.playing("").await, house.client())
}

fn candidate(component: &str, config: &str) -> ShadowPlugin {
    ShadowPlugin {
        path: Some(component.into()),
        slot: Some("sampler".parse().unwrap()),
        config: Some(serde_json::from_str(config).unwrap()),
        ..ShadowPlugin::default()
    }
}

fn sampler() -> Slot {
    Slot::Sampler
}

/// A comparison without a slot.
#[derive(Serialize, Deserialize)]
struct Nameless {}

impl Endpoint for Nameless {
    const METHOD: Method = ComparePlugin::METHOD;
    const PATH: &'static str = ComparePlugin::PATH;
    type Answer = ShadowStatus;
}

/// Returns the comparison once it satisfies `condition`.
async fn compared(client: &Client, condition: impl Fn(&ShadowStatus) -> bool) -> ShadowStatus {
    eventually(async || client.call(&ComparePlugin { slot: sampler() }).await.unwrap(), condition).await
}

fn live(status: &host_api::Status) -> Vec<u64> {
    let plugins = status.paths.iter().flat_map(|path| &path.plugins);
    plugins.filter(|plugin| plugin.slot == "sampler").map(|plugin| plugin.generation).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_compared_on_every_path_and_changes_nothing() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    let begun = client.call(&candidate("sampler-ratio", NONE)).await.unwrap();
    assert_eq!((begun.state, begun.live.as_str(), begun.share), (ShadowState::Shadowing, "sampler-ratio@0.1.0 (1)", 1.0));
    let differ = compared(&client, |status| status.paths.len() == 3 && status.comparison.rows > 200).await;
    assert_eq!(differ.comparison.differing, differ.comparison.rows, "the one keeps all, the other nothing");
    assert!(differ.disagreement > 0.999 && differ.interval.0 > 0.9 && !differ.comparison.examples.is_empty(), "{differ:?}");
    assert_eq!(differ.comparison.rows, differ.paths.values().map(|path| path.rows).sum::<u64>());
    let status = client.call(&GetStatus).await.unwrap();
    assert_eq!((live(&status), status.swaps.len()), (vec![1, 1, 1], 0));
    assert!(status.paths.iter().all(|path| path.ledger.sampled_out == 0), "what the candidate said was thrown away");

    let same = client.call(&candidate("sampler-ratio", "{}")).await.unwrap();
    assert_eq!(same.comparison.rows, 0, "the one before is replaced");
    let replaced = same.replaced.as_deref().unwrap();
    assert!(replaced.starts_with("sampler-ratio@0.1.0, shadowing after "), "and that is said: {replaced}");
    let same = compared(&client, |status| status.comparison.rows > 200).await;
    assert_eq!((same.comparison.differing, client.call(&GetShadows).await.unwrap().len()), (0, 1));

    let last = client.call(&DiscardPlugin { slot: sampler() }).await.unwrap();
    assert!(last.comparison.rows >= same.comparison.rows && matches!(last.state, ShadowState::Ended(_)), "{last:?}");
    assert_eq!(refusal(client.call(&ComparePlugin { slot: sampler() }).await).unwrap_err().step, Step::Shadow);
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_promoted_is_the_next_generation() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    client.call(&candidate("sampler-ratio", HALF)).await.unwrap();
    let promoted = client.call(&PromotePlugin { slot: sampler() }).await.unwrap();
    assert_eq!((promoted.generation, promoted.unchanged), (2, false));
    let status = client.call(&GetStatus).await.unwrap();
    assert_eq!((live(&status), status.swaps.last().unwrap().reason.as_str()), (vec![2, 2, 2], "promoted: as asked"));
    let over = client.call(&ComparePlugin { slot: sampler() }).await.unwrap();
    assert_eq!(over.state, ShadowState::Promoted("as asked".into()));
    assert!(client.call(&PromotePlugin { slot: sampler() }).await.unwrap().unchanged, "it is live");
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_whose_condition_holds_is_promoted_by_itself() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    let promise = ShadowPlugin {
        promote_if: Some("rows > 0 and faults == 0 and disagreement <= 100%".into()),
        after_ms: Some(1_500),
        ..candidate("sampler-ratio", HALF)
    };
    let begun = client.call(&promise).await.unwrap();
    assert_eq!(begun.promote_if.as_deref(), Some("rows > 0 and faults == 0 and disagreement <= 100%"));
    let over = compared(&client, |status| matches!(status.state, ShadowState::Promoted(_))).await;
    assert!(over.comparison.rows > 0 && over.elapsed_ms >= 1_500, "{over:?}");
    let status = client.call(&GetStatus).await.unwrap();
    assert_eq!(live(&status), [2, 2, 2]);
    let reason = &status.swaps.last().unwrap().reason;
    assert!(reason.starts_with("promoted: rows ") && reason.contains("faults 0 == 0"), "{reason}");
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_whose_condition_does_not_hold_is_not_promoted_and_its_result_stays() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    let promise = ShadowPlugin {
        promote_if: Some("disagreement < 0.1%".into()),
        after_ms: Some(1_500),
        ..candidate("sampler-ratio", NONE)
    };
    client.call(&promise).await.unwrap();
    let over = compared(&client, |status| matches!(status.state, ShadowState::Kept(_))).await;
    let ShadowState::Kept(why) = &over.state else { panic!("{over:?}") };
    assert!(why.starts_with("disagreement of at most ") && why.ends_with("% is not < 0.1%"), "{why}");
    assert_eq!(client.call(&ComparePlugin { slot: sampler() }).await.unwrap(), over, "nothing is compared any more");
    assert_eq!(live(&client.call(&GetStatus).await.unwrap()), [1, 1, 1]);

    let at_once =
        ShadowPlugin { promote_if: Some("faults == 0".into()), after_ms: Some(0), ..candidate("sampler-ratio", HALF) };
    client.call(&ShadowPlugin { share: 0.000_001, ..at_once }).await.unwrap();
    let over = compared(&client, |status| status.state != ShadowState::Shadowing).await;
    assert_eq!(over.state, ShadowState::Kept("nothing was compared".into()));
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_ends_the_shadow_of_its_slot_and_of_no_other() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    client.call(&candidate("sampler-ratio", HALF)).await.unwrap();
    let enricher = ShadowPlugin { slot: Some("enricher.process".parse().unwrap()), ..candidate("enricher-process", "{}") };
    client.call(&enricher).await.unwrap();
    client.call(&order("sampler-ratio", None, Some(r#"{"ratio": 0.9}"#))).await.unwrap();
    let states: Vec<_> = client.call(&GetShadows).await.unwrap().into_iter().map(|shadow| shadow.state).collect();
    let ended = ShadowState::Ended("slot sampler holds sampler-ratio@0.1.0 (2) now".into());
    assert_eq!(states, [ended, ShadowState::Shadowing]);
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_a_candidate_are_its_own() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    client.call(&candidate(faulty(), r#"{"do": "trap"}"#)).await.unwrap();
    let faults = compared(&client, |status| status.comparison.faults > 3).await;
    assert!(faults.paths.values().any(|path| path.faults > 0));
    let status = client.call(&GetStatus).await.unwrap();
    assert!(status.paths.iter().flat_map(|path| &path.plugins).all(|plugin| plugin.faults.is_empty()), "{status:?}");
    assert!(status.swaps.is_empty());
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_refused_with_its_cure() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    let refused = async |shadow: ShadowPlugin| -> Refusal { refusal(client.call(&shadow).await).unwrap_err() };
    let good = || candidate("sampler-ratio", HALF);
    let typo = ShadowPlugin { promote_if: Some("disagrement < 1%".into()), after_ms: Some(1), ..good() };
    let typo = refused(typo).await;
    assert!(typo.step == Step::PromoteIf && typo.message.contains("at column 1: one of disagreement"), "{typo:?}");
    let cases = [
        (ShadowPlugin { share: 0.0, ..good() }, "shadow"),
        (ShadowPlugin { share: 1.5, ..good() }, "shadow"),
        (ShadowPlugin { after_ms: Some(1), ..good() }, "promote-if"),
        (ShadowPlugin { promote_if: Some("faults == 0".into()), ..good() }, "promote-if"),
        (ShadowPlugin { slot: Some("enricher.none".parse().unwrap()), ..candidate(faulty(), "{}") }, "shadow"),
        (ShadowPlugin { pin: Some(format!("sha256:{}", "0".repeat(64))), ..good() }, "pin"),
        (candidate("sampler-ratio", r#"{"ratio": 7}"#), "bind"),
        (candidate("decoder-tcp", "{}"), "inspect"),
    ];
    for (shadow, step) in cases {
        let refusal = refused(shadow).await;
        assert_eq!(refusal.step, Step::from(step), "{refusal:?}");
        assert!(!refusal.message.is_empty() && !refusal.cure.is_empty(), "{refusal:?}");
    }
    for order in [
        client.call(&PromotePlugin { slot: sampler() }).await.err(),
        client.call(&DiscardPlugin { slot: sampler() }).await.err(),
    ] {
        assert!(order.unwrap().to_string().contains("has no candidate"));
    }
    let nameless = client.call(&Nameless {}).await;
    assert_eq!(refusal(nameless).unwrap_err().step, Step::Request);
    assert!(client.call(&GetShadows).await.unwrap().is_empty());
    tokio::time::timeout(Duration::from_secs(30), daemon.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_for_one_path_is_compared_with_the_sampler_of_all_where_that_path_has_none() {
    let house = House::new();
    let (daemon, client) = (house.playing("[plugins.sampler]\nconfig = { ratio = 0.5 }").await, house.client());
    let tcp: Slot = "sampler.tcp".parse().unwrap();
    let of_tcp = ShadowPlugin { config: None, slot: Some(tcp.clone()), ..candidate("sampler-ratio", NONE) };
    let begun = client.call(&of_tcp).await.unwrap();
    assert_eq!(begun.live, "sampler-ratio@0.1.0 (1)");
    let compared =
        eventually(async || client.call(&ComparePlugin { slot: tcp.clone() }).await.unwrap(), |run| run.comparison.rows > 50)
            .await;
    assert_eq!(compared.paths.keys().collect::<Vec<_>>(), ["tcp"]);
    assert_eq!(compared.comparison.differing, 0, "it has the configuration that the path's sampler has");

    let promoted = client.call(&PromotePlugin { slot: tcp.clone() }).await.unwrap();
    assert_eq!((promoted.slot.to_string().as_str(), promoted.paths.as_slice()), ("sampler.tcp", &["tcp".to_owned()][..]));
    assert_eq!(live(&client.call(&GetStatus).await.unwrap()), [1, 1], "the others go on as they were");
    assert!(daemon.stop().await.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_beside_the_sampler_of_all_ends_when_that_changes() {
    let house = House::new();
    let (daemon, client) = playing(&house).await;
    let of_tcp = ShadowPlugin { slot: Some("sampler.tcp".parse().unwrap()), ..candidate("sampler-ratio", HALF) };
    client.call(&of_tcp).await.unwrap();
    client.call(&order("sampler-ratio", None, Some(NONE))).await.unwrap();
    let run = client.call(&ComparePlugin { slot: "sampler.tcp".parse().unwrap() }).await.unwrap();
    assert!(matches!(&run.state, ShadowState::Ended(why) if why.contains("slot sampler holds")), "{run:?}");
    assert!(daemon.stop().await.balanced);
}
