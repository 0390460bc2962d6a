//! Connections of several protocols: a trunk, and a path for each protocol that comes and goes with its decoder.

use std::path::{Path, PathBuf};

use host_api::{Cause, PathStatus, RollbackPlugin, Status, Step, UnloadPlugin, UnloadProbe};
use host_daemon::config::{Config, OutputName};
use host_daemon::{Daemon, Input};
use host_export::capture::{CapturedProbe, Writer};
use host_model::{Layout, Member, MemberKind, Run};

use crate::guests;
use crate::house::{House, Lines, order, refusal};

/// A call of a connection: direction (1 sent), bytes.
type Line = (u8, &'static [u8]);

const HTTP: [Line; 2] = [(1, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), (0, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")];
const TALK: [Line; 2] = [(1, b"PING"), (0, b"PONG")];
const STRANGE: [Line; 1] = [(1, b"\x00\x01\x02 nobody knows this")];

/// A capture of ten connections of each kind; all ask a server on port 9000.
fn capture(house: &House) -> PathBuf {
    let file = house.folder.path().join("l7.capture");
    let layout = l7();
    let probe = CapturedProbe { name: "l7".into(), layout: Some(layout.clone()) };
    let mut writer = Writer::new(std::fs::File::create(&file).unwrap(), 0, &[probe]).unwrap();
    for (number, lines) in (0..30).map(|number| (number, [&HTTP[..], &TALK[..], &STRANGE[..]][number % 3])) {
        let mut run = Vec::new();
        for (at, (direction, payload)) in lines.iter().chain([&(2, &b""[..])]).enumerate() {
            let time_ns = 1_000_000_000 + number as u64 * 1_000_000 + at as u64 * 1_000;
            Run::push(&mut run, &record(&layout, number as u64 + 1, time_ns, *direction, payload));
        }
        writer.push(0, 1_000_000_000 + number as u64 * 1_000_000, Run::parse(&run).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    file
}

/// `struct l7_record` of bpf/l7/record.h.
fn l7() -> Layout {
    use MemberKind::{Bytes, Chars, Unsigned};
    let members = [
        ("time_ns", 0, 8, Unsigned),
        ("connection", 8, 8, Unsigned),
        ("cgroup_id", 16, 8, Unsigned),
        ("sequence", 24, 4, Unsigned),
        ("total", 28, 4, Unsigned),
        ("pid", 32, 4, Unsigned),
        ("uid", 36, 4, Unsigned),
        ("family", 40, 2, Unsigned),
        ("local_port", 42, 2, Unsigned),
        ("remote_port", 44, 2, Unsigned),
        ("kind", 46, 1, Unsigned),
        ("direction", 47, 1, Unsigned),
        ("role", 48, 1, Unsigned),
        ("transport", 49, 1, Unsigned),
        ("flags", 50, 1, Unsigned),
        ("spare", 51, 1, Unsigned),
        ("opposite", 52, 4, Unsigned),
        ("local_address", 56, 16, Bytes),
        ("remote_address", 72, 16, Bytes),
        ("comm", 88, 16, Chars),
        ("payload", 104, 0, Bytes),
    ];
    let member = |(name, offset, size, kind): (&str, u32, u32, MemberKind)| Member { name: name.into(), offset, size, kind };
    Layout { name: "l7_record".into(), size: 104, members: members.map(member).to_vec() }
}

/// A record; direction 2 means the end.
fn record(layout: &Layout, connection: u64, time_ns: u64, direction: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; layout.size as usize];
    let mut put = |name: &str, value: u64| {
        let member = layout.members.iter().find(|member| member.name == name).unwrap();
        let at = member.offset as usize;
        let size = (member.size as usize).min(8);
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    };
    put("time_ns", time_ns);
    put("connection", connection);
    put("total", payload.len() as u64);
    put("sequence", 1_000);
    put("family", 2);
    put("local_port", 40_000 + connection);
    put("remote_port", 9_000);
    put("kind", u64::from(direction == 2));
    put("direction", u64::from(direction == 1));
    put("role", 1);
    put("transport", 6);
    put("local_address", 0x0100_007f);
    put("remote_address", 0x0100_007f);
    [bytes, payload.to_vec()].concat()
}

async fn playing(house: &House, config: &str) -> Daemon {
    let mut settings = house.settings(Input::Capture { file: capture(house), looping: true });
    settings.config = Config::parse(Path::new("host.toml"), config).unwrap();
    Daemon::start(settings).await.unwrap()
}

fn path<'a>(status: &'a Status, name: &str) -> Option<&'a PathStatus> {
    status.paths.iter().find(|path| path.probe == name)
}

fn rows(status: &Status, name: &str) -> u64 {
    path(status, name).map_or(0, |path| path.ledger.rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_goes_the_way_of_its_protocol_and_the_sums_balance() {
    let (house, lines) = (House::new(), Lines::default());
    let mut settings = house.settings(Input::Capture { file: capture(&house), looping: false });
    let config = format!("[protocols]\nenabled = [\"http\"]\n[plugins.\"decoder.talk\"]\ncomponent = {:?}", guests::talker());
    settings.config = Config::parse(Path::new("host.toml"), &config).unwrap();
    settings.output = Some(OutputName::Jsonl);
    settings.view = Some(lines.view());
    let daemon = Daemon::start(settings).await.unwrap();
    assert_eq!(daemon.wait().await, Cause::Ended);
    let status = daemon.status().await;
    let report = daemon.stop().await;
    assert!(report.balanced, "{report:?}");
    let trunk = path(&status, "l7").unwrap();
    assert_eq!((trunk.ledger.produced, trunk.ledger.routed, trunk.ledger.unrouted), (80, 60, 20), "{trunk:?}");
    assert_eq!(trunk.unknown.iter().map(|unknown| (unknown.port, unknown.connections)).collect::<Vec<_>>(), [(9000, 10)]);
    assert_eq!(trunk.plugins.iter().map(|plugin| plugin.slot.as_str()).collect::<Vec<_>>(), ["decoder.http", "decoder.talk"]);
    assert_eq!(path(&status, "http").unwrap().trunk.as_deref(), Some("l7"));
    assert_eq!(status.probes.iter().map(|probe| probe.name.as_str()).collect::<Vec<_>>(), ["l7"], "a lane is no probe");
    assert_eq!((rows(&status, "http"), rows(&status, "talk")), (10, 20));
    let all = lines.all();
    assert_eq!(all.iter().filter(|line| line["probe"] == "http").count(), 10);
    assert_eq!(all.iter().filter(|line| line["probe"] == "talk").count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_comes_and_goes_with_its_decoder() {
    let house = House::new();
    let daemon = playing(&house, "[protocols]\nenabled = [\"http\"]").await;
    let client = house.client();
    house
        .until(&daemon, |status| rows(status, "http") > 0 && path(status, "l7").is_some_and(|l7| !l7.unknown.is_empty()))
        .await;

    let live = client.call(&order(guests::talker(), None, None)).await.unwrap();
    assert_eq!((live.slot.to_string().as_str(), live.generation), ("decoder.talk", 1));
    let status = house.until(&daemon, |status| rows(status, "talk") > 0).await;
    assert!(status.balanced, "{status:?}");

    // Another generation takes over, and the router asks it instead.
    let live = client.call(&order(guests::talker(), None, Some("{\"other\": 1}"))).await.unwrap();
    assert_eq!((live.generation, live.handover.as_str()), (2, "warm"));
    let asked = |status: &Status| path(status, "l7").unwrap().plugins.iter().map(|plugin| plugin.generation).max();
    assert_eq!(asked(&daemon.status().await), Some(2));

    client.call(&UnloadPlugin { slot: "decoder.talk".parse().unwrap() }).await.unwrap();
    let status = daemon.status().await;
    assert!(path(&status, "talk").is_none() && status.balanced, "{status:?}");
    assert!(rows(&status, "http") > 0, "the other goes on");

    client.call(&RollbackPlugin { slot: "decoder.talk".parse().unwrap(), generation: Some(1) }).await.unwrap();
    house.until(&daemon, |status| rows(status, "talk") > 0).await;
    let report = daemon.stop().await;
    assert!(report.balanced, "{report:?}");
    assert_eq!(report.paths.iter().filter(|(name, _)| name == "talk").count(), 2, "the one that has ended counts too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_in_the_slot_of_another_protocol_is_refused_and_nothing_changes() {
    let house = House::new();
    let daemon = playing(&house, "[protocols]\nenabled = [\"http\"]").await;
    let client = house.client();
    let refused = refusal(client.call(&order(guests::talker(), Some("decoder.http"), None)).await).unwrap_err();
    assert!(refused.message.contains("it decodes protocol talk, not http"), "{refused:?}");
    assert!(refused.cure.contains("decoder.talk"), "{refused:?}");
    let refused = refusal(client.call(&order("decoder-file", Some("decoder.mine"), None)).await).unwrap_err();
    assert!(refused.message.contains("there is no path `mine`"), "{refused:?}");
    let refused = refusal(client.call(&order("decoder-http", Some("decoder.l7"), None)).await).unwrap_err();
    assert_eq!(refused.step, Step::Slot, "its records go to the decoders of their protocols: {refused:?}");
    let before = rows(&daemon.status().await, "http");
    let status = house.until(&daemon, |status| rows(status, "http") > before).await;
    assert_eq!(path(&status, "http").unwrap().plugins[0].generation, 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_probe_go_the_paths_of_its_protocols() {
    let house = House::new();
    let daemon = playing(&house, "[protocols]\nenabled = [\"http\"]\nports = { 9000 = \"http\" }").await;
    house.until(&daemon, |status| rows(status, "http") > 0).await;
    let gone = house.client().call(&UnloadProbe { probe: "l7".into() }).await.unwrap();
    assert_eq!(gone.name, "l7");
    let status = daemon.status().await;
    assert!(status.paths.is_empty(), "{status:?}");
    let report = daemon.stop().await;
    let names: Vec<_> = report.paths.iter().map(|(name, _)| name.as_str()).collect();
    assert!(report.balanced && names == ["l7", "http"], "{report:?}");
}
