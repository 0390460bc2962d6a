//! The HTTP decoder replaced while requests flow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::{measured, turn_as_root};

use crate::host;

#[test]
fn a_swap_of_the_http_decoder_under_load_loses_and_doubles_no_request_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    // The same decoder under another digest: an empty custom section more.
    let bundled = plugins::component("decoder-http").unwrap().bytes;
    let files = [0_u8, 1].map(|number| {
        let file = folder.path().join(format!("decoder-http-{number}.wasm"));
        let section = [&[0, 2, 1, b'a' + number][..]].concat();
        std::fs::write(&file, [bundled, &section].concat()).unwrap();
        file
    });
    let server = Server::nginx(false);
    let host = host();
    let ended = AtomicBool::new(false);
    let mut swaps = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let url = format!("http://127.0.0.1:{}/ok", server.port);
            client("h2load", &["--h1", "-n", &SENT.to_string(), "-c", "4", &url]);
            ended.store(true, Ordering::Release);
        });
        while !ended.load(Ordering::Acquire) {
            let loaded = host.load(&files[swaps % 2], "decoder.http", None);
            assert!(loaded.status.success(), "{}", host_tests::daemon::stderr(&loaded));
            swaps += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let requests = host.settled_requests();
    let status = host.status();
    assert_eq!(status.paths.iter().map(|path| path.ledger.lost_in_ring).sum::<u64>(), 0);
    let count = |role| requests.of("http", role, server.port).count();
    measured(&format!("{swaps} swaps: {} and {} of {SENT} requests", count("server"), count("client")));
    assert!(swaps >= 3);
    assert_eq!((count("server"), count("client")), (SENT, SENT));
    assert!(status.swaps.iter().all(|swap| swap.slot == "decoder.http"));
}
