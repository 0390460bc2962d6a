//! The control socket, from the client's end.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::house::{House, order};
use host_api::{Cause, ClientError, GetPlugins, GetProbes, GetStatus, LoadProbe, Origin, Step, Stop};
use host_daemon::{Daemon, Input};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn playing(house: &House) -> Daemon {
    Daemon::start(house.settings(Input::Embedded { looping: true })).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_told_as_scripts_expect_it() {
    let house = House::new();
    let daemon = playing(&house).await;
    let status: serde_json::Value = house.client().call_as(&GetStatus).await.unwrap();
    assert_eq!((status["balanced"].as_bool(), status["mode"].as_str()), (Some(true), Some("replay")));
    for name in ["produced", "filtered_in_kernel", "lost_in_ring", "received", "undecodable", "decoded", "sampled_out", "kept"]
    {
        assert!(status["paths"][0]["ledger"][name].is_u64(), "{name}");
    }
    for name in ["generation", "calls", "rows", "traps", "p50_ns", "p99_ns", "memory_bytes", "total_ns"] {
        assert!(status["paths"][0]["plugins"][0][name].is_u64(), "{name}");
    }
    assert_eq!(status["paths"][0]["plugins"][0]["state"], "live");
    assert!(status["paths"][0]["plugins"][0]["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(status["process"]["rss_bytes"].as_u64() > Some(0) && status["process"]["cpu_seconds"].is_u64());
    assert!(status["swaps"].is_array() && status["export"]["queue_cap_bytes"].as_u64() > Some(0));

    let plugins = house.client().call(&GetPlugins).await.unwrap();
    assert!(plugins.iter().any(|on| on.path == "tcp" && on.plugin.slot == "decoder.tcp"), "{plugins:?}");
    assert_eq!(house.client().call(&GetProbes).await.unwrap().len(), 3);
    assert_eq!(daemon.status().await.mode, Origin::Replay);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_over_the_socket_answers_when_everything_is_drained() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    assert_eq!(std::fs::metadata(client.socket()).unwrap().permissions().mode() & 0o777, 0o660);
    let (asked, cause) = tokio::join!(client.call(&Stop {}), daemon.wait());
    assert_eq!(cause, Cause::Stop);
    let report = daemon.stop().await;
    assert_eq!(asked.unwrap(), report, "who asked is told the same");
    assert!(report.paths.iter().all(|(_, ledger)| ledger.in_flight == 0 && ledger.in_ring == 0), "{report:?}");
    assert!(matches!(client.call(&GetStatus).await, Err(ClientError::NoDaemon { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let house = House::new();
    let daemon = playing(&house).await;
    let refusal = Daemon::start(house.settings(Input::Embedded { looping: true })).await.err().unwrap();
    assert_eq!(refusal.step(), Step::Socket);
    assert!(refusal.to_string().contains(&format!("pid {}", std::process::id())), "{refusal:?}");
    assert!(house.client().call(&GetStatus).await.is_ok(), "the first one is not disturbed");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_understands_is_answered_in_json() {
    let house = House::new();
    let daemon = playing(&house).await;
    let exchange = async |request: &str| {
        let mut stream = UnixStream::connect(house.client().socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let nowhere = exchange("GET /v2/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(nowhere.starts_with("HTTP/1.1 404") && nowhere.contains("\"cure\""), "{nowhere}");
    let head = "POST /v1/plugins/load HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ";
    let broken = exchange(&format!("{head}9\r\n\r\nnot json!")).await;
    assert!(broken.starts_with("HTTP/1.1 400") && broken.contains("\"step\":\"request\""), "{broken}");
    let huge = exchange(&format!("{head}999999999999\r\n\r\n{{")).await;
    assert!(huge.starts_with("HTTP/1.1 400"), "{huge}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_loads_no_probe() {
    let house = House::new();
    let daemon = playing(&house).await;
    let load = LoadProbe { path: "mine.bpf.o".into(), ..LoadProbe::default() };
    let Err(ClientError::Refused(refusal)) = house.client().call(&load).await else { panic!("it was loaded") };
    assert!(refusal.message.contains("replay") && !refusal.cure.is_empty(), "{refusal:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_time_ends_the_daemon() {
    let house = House::new();
    let mut settings = house.settings(Input::Embedded { looping: true });
    settings.duration = Some(Duration::from_millis(1));
    let daemon = Daemon::start(settings).await.unwrap();
    assert_eq!(daemon.wait().await, Cause::Duration);
    assert_eq!(daemon.stop().await.cause, Cause::Duration);
}

/// A client that sends requests without end and reads no answer; ends when the daemon closes the connection.
async fn deaf(socket: std::path::PathBuf) {
    let Ok(mut stream) = UnixStream::connect(socket).await else { return };
    let requests = "GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n".repeat(64);
    while stream.write_all(requests.as_bytes()).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_shut_nobody_out_and_hold_up_no_end() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    let deaf: Vec<_> = (0..80).map(|_| tokio::spawn(deaf(client.socket().to_owned()))).collect();
    for _ in 0..3 {
        let status = tokio::time::timeout(Duration::from_secs(30), client.call(&GetStatus)).await;
        assert!(status.expect("somebody makes room").is_ok());
    }
    let began = Instant::now();
    let report = tokio::time::timeout(Duration::from_secs(30), daemon.stop()).await.expect("it ends");
    assert!(report.balanced && report.hung.is_empty(), "{report:?}");
    // There is no collector to wait for: everything else gets a second, and the machine may be busy.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    deaf.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_comes_while_the_host_ends_is_refused() {
    let house = House::new();
    let (daemon, client) = (playing(&house).await, house.client());
    // A client that has sent half of its request, and one that asks after the end.
    let mut half = UnixStream::connect(client.socket()).await.unwrap();
    half.write_all(b"POST /v1/plugins/load HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{").await.unwrap();
    let late = order("sampler-ratio", None, None);
    let (report, load) = tokio::join!(daemon.stop(), client.call(&late));
    assert!(report.balanced, "{report:?}");
    if let Err(ClientError::Refused(refusal)) = load {
        assert_eq!(refusal.step, Step::Stop, "{refusal:?}");
    }
    assert!(client.call(&GetStatus).await.is_err());
}
