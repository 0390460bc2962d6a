//! An OTLP/HTTP endpoint that takes everything and keeps nothing: what a benchmark sends to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A sink on a free port of loopback; its threads end with the process.
pub struct Sink {
    port: u16,
    bytes: Arc<AtomicU64>,
}

// === impl Sink ===

impl Sink {
    /// Starts it.
    ///
    /// # Panics
    /// If loopback has no free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicU64::new(0));
        let total = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let total = Arc::clone(&total);
                std::thread::spawn(move || serve(stream, &total));
            }
        });
        Self { port, bytes }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Bytes of all bodies so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// Answers 200 to every request of one connection, until it closes or does not speak HTTP/1.1 with a length.
fn serve(stream: TcpStream, total: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::with_capacity(1 << 20, stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = line.strip_prefix("content-length:").map_or(length, |value| value.trim().parse::<u64>().ok());
        }
        let taken = std::io::copy(&mut reader.by_ref().take(length?), &mut std::io::sink()).ok()?;
        total.fetch_add(taken, Relaxed);
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}
