//! Failed calls that are stored and repeated.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::guests::faulty;
use crate::house::{House, eventually, order, refusal};
use host_api::{BoundTo, Client, GetRepro, GetRepros, Repro, RerunOutcome, Step};
use host_daemon::repro::{Store, run};
use host_daemon::{Daemon, to_slot_limits};
use host_model::{FaultKind, Role};
use host_plugin::{Engine, Limits};

/// Starts a daemon in which a sampler has failed, and returns the failed call.
async fn failed(house: &House, config: &str) -> (Daemon, Client, Repro) {
    let (daemon, client) = (house.playing("").await, house.client());
    client.call(&order(faulty(), Some("sampler"), Some(config))).await.unwrap();
    let listed = eventually(async || client.call(&GetRepros).await.unwrap(), |repros| !repros.is_empty()).await;
    let repro = client.call(&GetRepro { id: listed[0].id.clone() }).await.unwrap();
    (daemon, client, repro)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_a_sampler_failed_on_fails_again_without_a_daemon() {
    let house = House::new();
    let (daemon, _, repro) = failed(&house, r#"{"do": "trap", "more": [1, 2]}"#).await;
    let summary = &repro.summary;
    assert_eq!((summary.name.as_str(), summary.slot.as_str(), summary.generation), ("faulty", "sampler", 2));
    assert_eq!((summary.role, summary.kind, summary.step.as_str()), (Role::Sampler, FaultKind::Trap, "decide"));
    assert!(summary.rows > 0 && matches!(repro.bound_to, BoundTo::Schema(_)) && !repro.fields.is_empty(), "{repro:?}");
    assert_eq!(serde_json::Value::Object(repro.config.clone()), serde_json::json!({"do": "trap", "more": [1, 2]}));
    assert_eq!((mode(&summary.folder), mode(&summary.folder.join("batch.arrow"))), (0o700, 0o600));
    daemon.stop().await;

    let found = Store::open(house.state.path()).find(&summary.id).unwrap();
    assert_eq!(found, repro);
    let engine = Engine::new().unwrap();
    let again = run(&found, &engine, None).unwrap();
    assert_eq!(again.outcome, RerunOutcome::Again, "{again:?}");
    assert!(again.detail.contains("unreachable") && again.elapsed_ns > 0, "{again:?}");

    let mended = house.folder.path().join("mended.wasm");
    std::fs::write(&mended, plugins::component("sampler-ratio").unwrap().bytes).unwrap();
    let mended = run(&found, &engine, Some(&mended)).unwrap();
    // The sampler has no setting `do`.
    assert_eq!(mended.outcome, RerunOutcome::Unbound, "{mended:?}");
    let mended = run(&Repro { config: serde_json::Map::new(), ..found }, &engine, Some(Path::new("sampler-ratio"))).unwrap();
    assert_eq!(mended.outcome, RerunOutcome::Succeeded, "{mended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_decoder_failed_on_fail_again() {
    let house = House::new();
    let config = "[plugins.\"decoder.file\"]\nlimits = { output_rows = 1 }";
    let (daemon, client) = (house.playing(config).await, house.client());
    let listed = eventually(async || client.call(&GetRepros).await.unwrap(), |repros| !repros.is_empty()).await;
    let repro = client.call(&GetRepro { id: listed[0].id.clone() }).await.unwrap();
    let (summary, engine) = (&repro.summary, Engine::new().unwrap());
    assert_eq!((summary.role, summary.step.as_str(), summary.kind), (Role::Decoder, "decode", FaultKind::Output));
    assert!(matches!(&repro.bound_to, BoundTo::Layout(layout) if layout.name == "file_record"));
    assert!(summary.rows > 1 && summary.folder.join("run.bin").exists(), "{summary:?}");
    let again = run(&repro, &engine, None).unwrap();
    assert_eq!(again.outcome, RerunOutcome::Again, "{again:?}");
    let limits = to_slot_limits(&Limits::default());
    let allowed = run(&Repro { limits, ..repro.clone() }, &engine, None).unwrap();
    assert_eq!(allowed.detail, format!("it returned {} rows, 0 undecodable", summary.rows));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needed_the_calls_before_it_is_told_so() {
    let house = House::new();
    let (daemon, _, repro) = failed(&house, r#"{"do": "trap-on-second-call"}"#).await;
    let again = run(&repro, &Engine::new().unwrap(), None).unwrap();
    assert_eq!(again.outcome, RerunOutcome::Succeeded, "{again:?}");
    let gone = std::fs::remove_file(repro.summary.folder.join("batch.arrow"));
    assert!(gone.is_ok() && run(&repro, &Engine::new().unwrap(), None).unwrap_err().step() == Step::Repro);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_fault_is_kept_once_in_a_while_however_often_it_happens() {
    let house = House::new();
    let (daemon, client) = (house.playing("[plugins.sampler]\non_faults = \"off\"").await, house.client());
    client.call(&order(faulty(), Some("sampler"), Some(r#"{"do": "error"}"#))).await.unwrap();
    let refused = |status: &host_api::Status| {
        let plugins = status.paths.iter().flat_map(|path| &path.plugins).filter(|plugin| plugin.slot == "sampler");
        plugins.filter_map(|plugin| plugin.faults.get(&FaultKind::Refused)).sum::<u64>()
    };
    house.until(&daemon, |status| refused(status) > 20).await;
    let report = daemon.stop().await;
    assert!(report.balanced, "an error of its own is no loss: {report:?}");
    let kept = Store::open(house.state.path()).list();
    assert_eq!(kept.len(), 1 + usize::from(report.uptime_ms > 10_000), "{kept:?}");
    assert!(!kept[0].detail.contains('\x1b') && kept[0].detail.contains("not today"), "{kept:?}");
    assert!(matches!(client.call(&GetRepros).await, Err(host_api::ClientError::NoDaemon { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_where_nothing_is_to_be_kept() {
    let house = House::new();
    let config = "[repro]\nenabled = false\n[cache]\nenabled = false\n[plugins.sampler]\nquarantine = { faults = 2 }";
    let (daemon, client) = (house.playing(config).await, house.client());
    client.call(&order(faulty(), Some("sampler"), Some(r#"{"do": "trap"}"#))).await.unwrap();
    house.until(&daemon, |status| status.swaps.len() == 2).await;
    assert!(client.call(&GetRepros).await.unwrap().is_empty());
    assert_eq!(refusal(client.call(&GetRepro { id: "..%2f..".into() }).await).unwrap_err().step, Step::Repro);
    daemon.stop().await;
    assert_eq!(std::fs::read_dir(house.state.path()).unwrap().count(), 0);
}
