use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use host_tests::daemon::Host;
use host_tests::turn::turn_as_root;

/// Answers every request with a web page, for as long as the test runs; returns its address.
fn web_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&stream));
        }
    });
    format!("http://{address}")
}

/// Serves one connection to its end.
fn serve(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let page = "<html>Sign in</html>";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        let mut writer = stream;
        writer.write_all(head.as_bytes()).ok()?;
    }
}

#[test]
fn rows_that_a_web_server_took_are_not_exported_needs_root() {
    let Some(_turn) = turn_as_root() else { return };
    let endpoint = web_server();
    let mut host =
        Host::run(&["--probe", "exec", "--otlp-endpoint", &endpoint, "--otlp-protocol", "http/protobuf", "--output", "none"]);
    assert!(Command::new("true").status().unwrap().success());
    let status = host
        .status_when("the rows to be refused", Duration::from_secs(30), |status| status.ledger("exec").dropped_at_export > 0);
    assert_eq!(status.ledger("exec").exported, 0, "{status:#?}");
    let (_, said) = host.stop();
    assert!(said.contains("text/html"), "{said}");
}
