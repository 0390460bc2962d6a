//! nginx, and a client that reads slowly.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use host_tests::server::Server;
use host_tests::turn::{measured, turn_as_root};

const BYTES: usize = 12_000_000;
const DOWNLOADS: usize = 9;

#[test]
fn a_file_that_goes_out_by_sendfile_lasts_as_long_as_its_client_says_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let server = nginx();
    let host = crate::host();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut took: Vec<Duration> = (0..DOWNLOADS).map(|_| ask(&mut stream, "GET", "", BYTES)).collect();
    let tagged = "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT\r\n";
    for (method, fields, bytes) in [("HEAD", "", 0), ("GET", tagged, 0), ("GET", "Range: bytes=0-5999999\r\n", 6_000_000)] {
        ask(&mut stream, method, fields, bytes);
    }
    took.sort_unstable();
    let truth = took[DOWNLOADS / 2];
    let requests = host.settled_requests();
    for role in ["server", "client"] {
        let of = requests.of("http", role, server.port);
        let median = of.filter(|request| request.method == "GET" && request.status == "200").median();
        measured(&format!("downloads of {BYTES} bytes: {truth:?}, {role} {median:?}"));
        let part = median.as_secs_f64() / truth.as_secs_f64();
        // The bytes still in buffers when the server is done are a small part; a busy machine is slow at both ends.
        assert!((0.75..1.25).contains(&part), "{role}: {median:?} of {truth:?}");
        for (method, status, count) in
            [("GET", "200", DOWNLOADS as u64), ("HEAD", "200", 1), ("GET", "304", 1), ("GET", "206", 1)]
        {
            let of = of.filter(|request| request.method == method && request.status == status);
            assert_eq!(of.count(), count, "{role} {method} {status}: {of:#?}");
        }
    }
}

/// Starts nginx with a file, and small socket buffers.
fn nginx() -> Server {
    Server::start("nginx", |folder, port| {
        let config = format!(
            "worker_processes 1; daemon off; pid {0}/pid; error_log {0}/error.log; events {{ worker_connections 256; }}
             http {{ access_log off; sendfile on; tcp_nopush on; default_type text/plain;
               client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
               server {{ listen 127.0.0.1:{port} sndbuf=128k; if_modified_since before; root {0}/files; }} }}",
            folder.display()
        );
        std::fs::create_dir(folder.join("files")).unwrap();
        std::fs::write(folder.join("files/download.bin"), vec![b'x'; BYTES]).unwrap();
        // The workers of nginx run as user `nobody`.
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        vec!["-p".into(), folder.display().to_string(), "-c".into(), "nginx.conf".into(), "-e".into(), "error.log".into()]
    })
}

/// Requests the file, and reads the answer with a pause for each megabyte; returns the duration.
fn ask(stream: &mut TcpStream, method: &str, fields: &str, bytes: usize) -> Duration {
    let mut buffer = vec![0; 262_144];
    let began = Instant::now();
    write!(stream, "{method} /download.bin HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").unwrap();
    let (mut answer, mut body, mut paused) = (Vec::new(), None, 0);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        match &mut body {
            Some(body) => *body += read,
            None => {
                answer.extend_from_slice(&buffer[..read]);
                body = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| answer.len() - at - 4);
            }
        }
        if body == Some(bytes) {
            return began.elapsed();
        }
        if body.unwrap_or(0) / 1_000_000 > paused {
            paused = body.unwrap_or(0) / 1_000_000;
            std::thread::sleep(Duration::from_millis(8));
        }
    }
}
