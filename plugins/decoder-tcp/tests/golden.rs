//! Records as the BPF program lays them out, and their rows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

use decoder_tcp::{Decoder, TcpRecord, record};
use plugin_sdk::testing::{Draft, decode_all, header_layout, run};
use plugin_sdk::{Config, Decoder as _, Record};

const HEADER: &str = include_str!("../../../bpf/tcp/record.h");

fn decode(record: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::bind("tcp", &TcpRecord::layout().unwrap(), Config::new("{}")).unwrap();
    decode_all(&mut decoder, &run([record])).unwrap().remove(0)
}

fn connection(role: u8) -> Draft {
    Draft::new(header_layout(HEADER, "tcp_record").unwrap())
        .put("time_ns", 7_000)
        .put("duration_ns", 90_000)
        .put("cgroup_id", 4242)
        .put("bytes_sent", 1 << 40)
        .put("bytes_received", 512)
        .put("pid", 4711)
        .put("uid", 1000)
        .put("srtt_us", 250)
        .put("retransmits", 2)
        .put("connect_us", 120)
        .put("family", record::IPV4.into())
        .put("local_port", 54_321)
        .put("remote_port", 443)
        .put("role", role.into())
        .put("last_state", 9)
        .bytes("local_address", &[10, 0, 0, 7])
        .bytes("remote_address", &[192, 168, 255, 1])
        .bytes("comm", b"curl")
}

fn has(row: &[String], values: &[&str]) {
    for value in values {
        assert!(row.iter().any(|known| known == value), "{value} is not in {row:?}");
    }
}

#[test]
fn the_record_is_the_one_in_the_header() {
    assert_eq!(TcpRecord::layout(), header_layout(HEADER, "tcp_record"));
    assert!(HEADER.contains("TCP_ROLE_CLIENT = 1") && HEADER.contains("TCP_ROLE_SERVER = 2"));
}

#[test]
fn a_client_s_connection_becomes_this_row() {
    assert_eq!(
        decode(&connection(record::CLIENT).finish()),
        [
            "time=7000",
            "duration=90000",
            "error.type=",
            "kind=3",
            "tcp.role=client",
            "server.port=443",
            "kernel.threshold=0",
            "server.address=192.168.255.1",
            "client.address=10.0.0.7",
            "client.port=54321",
            "network.transport=tcp",
            "network.type=ipv4",
            "network.local.address=10.0.0.7",
            "network.local.port=54321",
            "network.peer.address=192.168.255.1",
            "network.peer.port=443",
            "network.connection.state=last_ack",
            "tcp.sent=1099511627776",
            "tcp.received=512",
            "tcp.retransmits=2",
            "tcp.round_trip=250",
            "tcp.connect.duration=120",
            "process.pid=4711",
            "thread.name=curl",
            "process.real_user.id=1000",
            "linux.cgroup.id=4242",
        ]
    );
}

#[test]
fn a_server_s_connection_has_the_ends_the_other_way_round() {
    has(
        &decode(&connection(record::SERVER).finish()),
        &[
            "kind=2",
            "tcp.role=server",
            "server.address=10.0.0.7",
            "server.port=54321",
            "client.address=192.168.255.1",
            "client.port=443",
        ],
    );
}

#[test]
fn a_connection_older_than_the_probe_names_neither_client_nor_server() {
    let unknown = connection(0).finish();
    has(
        &decode(&unknown),
        &["kind=1", "tcp.role=unknown", "server.address=", "server.port=0", "client.address=", "client.port=0"],
    );
    has(&decode(&unknown), &["network.peer.address=192.168.255.1", "network.peer.port=443"]);
}

#[test]
fn ipv6_and_a_refusal_are_told() {
    let mut localhost = [0; 16];
    localhost[15] = 1;
    let refused = connection(record::CLIENT)
        .put("family", record::IPV6.into())
        .bytes("remote_address", &localhost)
        .bytes("local_address", &[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1f])
        .put("error", 111);
    has(
        &decode(&refused.finish()),
        &["error.type=ECONNREFUSED", "network.type=ipv6", "server.address=::1", "network.local.address=fe80::1f"],
    );
}

#[test]
fn short_records_and_other_families_are_undecodable() {
    let whole = connection(record::CLIENT).finish();
    for length in 0..whole.len() {
        assert_eq!(decode(&whole[..length]), ["#0"], "{length} bytes");
    }
    assert_eq!(decode(&connection(record::CLIENT).put("family", 1).finish()), ["#0"]);
}
