//! Plaintext of TLS: of real servers and clients, with the connection that carried it.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use host_kernel::LoadOptions;

use crate::reading::{Probe, Record, start};

const REQUESTS: usize = 100;
const DATA: i64 = 0;
const END: i64 = 1;
const RECEIVED: i64 = 0;
const SENT: i64 = 1;
const CLIENT: i64 = 1;
const SERVER: i64 = 2;
const TLS: i64 = 1;

/// A folder with a key and a certificate, gone with the value.
struct Folder(PathBuf);

/// A process that ends with the value.
struct Running(Child);

fn folder(name: &str) -> Folder {
    let path = std::env::temp_dir().join(format!("host-tls-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    let folder = Folder(path);
    let certificate = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout"])
        .arg(folder.0.join("key.pem"))
        .arg("-out")
        .arg(folder.0.join("cert.pem"))
        .output();
    let certificate = certificate.unwrap_or_else(|error| panic!("openssl does not start ({error}): install it (`make setup`)"));
    assert!(certificate.status.success(), "{}", String::from_utf8_lossy(&certificate.stderr));
    folder
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a server and waits until it listens.
fn serve(command: &mut Command, port: u16) -> Running {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut running = Running(started.unwrap_or_else(|error| panic!("{program} does not start ({error}): install it")));
    for _ in 0..1000 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return running;
        }
        assert!(running.0.try_wait().unwrap().is_none(), "{program} has ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{program} does not listen on {port}");
}

fn nginx(folder: &Path, port: u16) -> Running {
    let config = format!(
        "daemon off; master_process off; pid {0}/pid; error_log {0}/log; events {{}}\n\
         http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f;\n\
         uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
         server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem;\n\
         location / {{ return 200 \"hello from nginx\\n\"; }} }} }}\n",
        folder.display()
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    serve(Command::new("nginx").arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")), port)
}

fn probe(port: u16) -> Probe {
    let probe = start("l7", &LoadOptions { exclude_pid: None, ports: vec![port], ..LoadOptions::default() });
    let hooks = probe.loaded.hooks();
    assert!(hooks.iter().any(|hook| hook.starts_with("uprobe.multi/") && hook.contains("libssl")), "{hooks:?}");
    probe
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Plaintext that an end received, or sent.
fn plaintext(records: &[Record], role: i64, direction: i64) -> Vec<&Record> {
    let is = |record: &&Record| {
        (record.number("kind"), record.number("flags"), record.number("role"), record.number("direction"))
            == (DATA, TLS, role, direction)
    };
    records.iter().filter(is).collect()
}

/// One record per message of one connection, beginning as it should, where the last one ended.
fn check(messages: &[&Record], beginning: &str, client_port: &str, server_port: u16) {
    assert_eq!(messages.len(), REQUESTS);
    let mut place = 0;
    for message in messages {
        let payload = String::from_utf8_lossy(message.bytes("payload"));
        assert!(payload.starts_with(beginning), "{payload:?}");
        assert_eq!(message.number("connection"), messages[0].number("connection"));
        assert_eq!(message.number("sequence"), place);
        assert_eq!((message.number("family"), message.number("transport")), (2, 6));
        assert_eq!(message.number(client_port), messages[0].number(client_port));
        let ports = [message.number("local_port"), message.number("remote_port")];
        assert!(ports.contains(&i64::from(server_port)) && ports.iter().all(|port| *port > 0), "{ports:?}");
        assert_eq!(&message.bytes("local_address")[..4], [127, 0, 0, 1]);
        assert_eq!(&message.bytes("remote_address")[..4], [127, 0, 0, 1]);
        place += message.number("total");
    }
}

fn both_ends(records: &[Record], port: u16) {
    check(&plaintext(records, SERVER, RECEIVED), "GET /", "remote_port", port);
    check(&plaintext(records, SERVER, SENT), "HTTP/1.1 200 OK\r\n", "remote_port", port);
    check(&plaintext(records, CLIENT, SENT), "GET /", "local_port", port);
    check(&plaintext(records, CLIENT, RECEIVED), "HTTP/1.1 200 OK\r\n", "local_port", port);
}

fn dump(records: &[Record]) {
    for record in records {
        eprintln!(
            "kind {} flags {} role {} dir {} conn {:x} seq {} total {} {} {:?}",
            record.number("kind"),
            record.number("flags"),
            record.number("role"),
            record.number("direction"),
            record.number("connection"),
            record.number("sequence"),
            record.number("total"),
            record.text("comm"),
            String::from_utf8_lossy(&record.bytes("payload")[..record.bytes("payload").len().min(24)])
        );
    }
}

#[test]
fn requests_over_one_connection_are_plaintext_records_of_both_ends_needs_root() {
    needs_root!();
    let folder = folder("nginx");
    let port = free_port();
    let mut probe = probe(port);
    let _nginx = nginx(&folder.0, port);
    let url = format!("https://127.0.0.1:{port}/[1-{REQUESTS}]");
    let answers = run(Command::new("curl").args(["-sSk", "--http1.1", &url]));
    assert_eq!(answers.matches("hello from nginx").count(), REQUESTS);
    let records = probe.drain_at_least(4 * REQUESTS + 4);
    dump(&records);
    both_ends(&records, port);
    let _ = END;
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
