//! The HTTP decoder replaced while requests flow.

use std::time::Duration;

use host_tests::daemon::Host;
use host_tests::requests::client;
use host_tests::server::Server;
use host_tests::turn::{measured, turn_as_root};

use crate::{Wrk, host};

#[test]
fn a_swap_of_the_http_decoder_under_load_loses_and_doubles_no_request_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    const SENT: u64 = 60_000;
    let (server, host) = (Server::nginx(false), host());
    let url = format!("http://127.0.0.1:{}/ok", server.port);
    let (sent, swaps) = swapping(&host, || {
        client("h2load", &["--h1", "-n", &SENT.to_string(), "-c", "4", &url]);
        SENT
    });
    let counts = counts(&host, &server);
    measured(&format!("{swaps} swaps under h2load: {counts:?} of {sent} requests"));
    assert_eq!(counts, [SENT; 2]);
}

#[test]
fn a_swap_of_the_http_decoder_under_wrk_loses_and_doubles_no_request_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let (server, host) = (Server::nginx(false), host());
    let url = format!("http://127.0.0.1:{}/ok", server.port);
    let (wrk, swaps) = swapping(&host, || Wrk::run(&url, 2));
    let counts = counts(&host, &server);
    measured(&format!("{swaps} swaps under wrk: {counts:?} of {} requests", wrk.requests));
    assert!(counts.iter().all(|&count| wrk.has_made(count)), "{counts:?} of {}", wrk.requests);
}

/// Replaces the decoder by itself under another digest, again and again during a load; returns the load's result, and the number of swaps.
fn swapping<T: Send>(host: &Host, load: impl FnOnce() -> T + Send) -> (T, usize) {
    let folder = tempfile::tempdir().unwrap();
    // The same decoder under another digest: with an additional empty custom section.
    let bundled = plugins::component("decoder-http").unwrap().bytes;
    let files = [0_u8, 1].map(|number| {
        let file = folder.path().join(format!("decoder-http-{number}.wasm"));
        let section = [&[0, 2, 1, b'a' + number][..]].concat();
        std::fs::write(&file, [bundled, &section].concat()).unwrap();
        file
    });
    // Compiled before the load starts: a compiler gets only the time that a load leaves.
    for file in &files {
        let loaded = host.load(file, "decoder.http", None);
        assert!(loaded.status.success(), "{}", host_tests::daemon::stderr(&loaded));
    }
    let mut swaps = 0;
    let said = std::thread::scope(|scope| {
        let load = scope.spawn(load);
        while !load.is_finished() {
            let loaded = host.load(&files[swaps % 2], "decoder.http", None);
            assert!(loaded.status.success(), "{}", host_tests::daemon::stderr(&loaded));
            swaps += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        load.join().unwrap()
    });
    assert!(swaps >= 3);
    (said, swaps)
}

/// Returns the host's counts at the server's end and at the client's, and checks that nothing was lost meanwhile.
fn counts(host: &Host, server: &Server) -> [u64; 2] {
    let requests = host.settled_requests();
    let status = host.status();
    assert_eq!(status.paths.iter().map(|path| path.ledger.lost_in_ring).sum::<u64>(), 0);
    assert!(status.swaps.iter().all(|swap| swap.slot == "decoder.http"));
    ["server", "client"].map(|role| requests.of("http", role, server.port).count())
}
