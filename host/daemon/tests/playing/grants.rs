//! Grants by digest and signer of a component.

use crate::house::{House, order, refusal};
use host_api::{GetSlots, Step};
use host_daemon::{Config, Daemon, Input};
use host_plugin::signature::{PrivateKey, sign};

/// An enricher slot other than the one whose plugin has its grant by default.
const SLOT: &str = "enricher.second";

async fn load(house: &House, config: &str, file: &str) -> Result<u64, host_api::Refusal> {
    let daemon = house.playing(config).await;
    let loaded = refusal(house.client().call(&order(file, Some(SLOT), None)).await);
    daemon.stop().await;
    loaded.map(|live| live.generation)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_refusal_are_what_it_takes() {
    let house = House::new();
    // Two enrichers must not add the same fields.
    let alone = "[plugins.\"enricher.process\"]\nenabled = false\n";
    let refused = load(&house, alone, "enricher-process").await.unwrap_err();
    assert_eq!(refused.step, Step::Grant);
    let lines = refused.cure.strip_prefix("add to host.toml:\n").unwrap();
    assert_eq!(load(&house, &format!("{alone}{lines}"), "enricher-process").await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_to_a_signer_is_granted_to_what_it_signed() {
    let house = House::new();
    let key = PrivateKey::generate().unwrap();
    let config = format!(
        "[plugins.\"enricher.process\"]\nenabled = false\n[signers]\nus = \"{}\"\n[[grants]]\nsigner = \"us\"\nallow = [\"tables\"]",
        key.public()
    );
    let signed = house.folder.path().join("signed.wasm");
    std::fs::write(&signed, sign(plugins::component("enricher-process").unwrap().bytes, &key).unwrap()).unwrap();
    assert_eq!(load(&house, &config, "enricher-process").await.unwrap_err().step, Step::Grant, "it is not signed");

    let daemon = house.playing(&config).await;
    let client = house.client();
    client.call(&order(signed.to_str().unwrap(), Some(SLOT), None)).await.unwrap();
    let slots = client.call(&GetSlots).await.unwrap();
    let loaded = slots.iter().find(|generation| generation.slot.to_string() == SLOT).unwrap();
    assert_eq!((loaded.signer.as_deref(), loaded.grants.as_slice()), (Some("us"), &["tables".to_owned()][..]));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_grant_takes_no_restart_and_a_broken_file_changes_nothing() {
    let house = House::new();
    let file = house.folder.path().join("host.toml");
    let alone = "[plugins.\"enricher.process\"]\nenabled = false\n";
    std::fs::write(&file, alone).unwrap();
    let mut settings = house.settings(Input::Embedded { looping: true });
    settings.config = Config::load(&file).unwrap();
    let daemon = Daemon::start(settings).await.unwrap();
    let load = async || refusal(house.client().call(&order("enricher-process", Some(SLOT), None)).await);

    let refused = load().await.unwrap_err();
    let lines = refused.cure.strip_prefix("add to host.toml:\n").unwrap();
    std::fs::write(&file, format!("{alone}{lines}\nnonsense = ")).unwrap();
    assert_eq!(load().await.unwrap_err().step, Step::Configure);
    std::fs::write(&file, format!("{alone}{lines}")).unwrap();
    assert_eq!(load().await.unwrap().generation, 1);
    daemon.stop().await;
}
