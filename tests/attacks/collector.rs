//! A collector that gives wrong answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A collector that accepts some requests, and answers others with "later", nothing, "too large", or an invalid answer.
pub(crate) struct BadCollector {
    port: u16,
    behaves: Arc<AtomicBool>,
}

// === impl BadCollector ===

impl BadCollector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaves = Arc::<AtomicBool>::default();
        let (asked, good) = (Arc::<AtomicU64>::default(), Arc::clone(&behaves));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, good) = (Arc::clone(&asked), Arc::clone(&good));
                std::thread::spawn(move || serve(&stream, &asked, &good));
            }
        });
        Self { port, behaves }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sets whether it accepts everything from now on.
    pub(crate) fn behave(&self, behaves: bool) {
        self.behaves.store(behaves, Relaxed);
    }
}

fn serve(stream: &TcpStream, asked: &AtomicU64, behaves: &AtomicBool) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse::<u64>().ok();
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        std::io::copy(&mut reader.by_ref().take(length?), &mut std::io::sink()).ok()?;
        let number = if behaves.load(Relaxed) { 0 } else { asked.fetch_add(1, Relaxed) % 8 };
        let answer: &[u8] = match number {
            1 => b"HTTP/1.1 503 No\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
            2 => b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            3 => b"HTTP/1.1 413 No\r\ncontent-length: 0\r\n\r\n",
            4 => b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 99999999\r\n\r\nxxxx",
            5 => return None,
            6 => {
                // Longer than any drain.
                std::thread::sleep(Duration::from_secs(12));
                return None;
            }
            7 => b"\x00\x01 this is not HTTP\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
        };
        writer.write_all(answer).ok()?;
        if number == 7 {
            return None;
        }
    }
}
