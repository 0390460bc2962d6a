//! A sink in a process of its own: it accepts every request and drops it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// The environment variable set for the process that is the sink.
const ROLE: &str = "OTLP_BENCH_SINK";

pub struct Sink {
    pub url: String,
    process: Child,
}

pub fn is_asked_for() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Serves until it is killed; first prints its address.
pub fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        std::thread::spawn(move || serve(stream));
    }
}

/// Serves requests with a length, one after the other.
fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut input = BufReader::with_capacity(256 << 10, stream.try_clone().unwrap());
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if input.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        std::io::copy(&mut (&mut input).take(length), &mut std::io::sink()).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

impl Sink {
    pub fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap());
        let mut process = process.env(ROLE, "1").stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { url: url.trim().to_owned(), process }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
