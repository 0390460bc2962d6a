//! An OTLP/HTTP endpoint that accepts everything: the target of benchmarks, and a store of bodies for a test that searches them for bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// A sink on a free port of loopback; its threads end with the process.
pub struct Sink {
    port: u16,
    bytes: Arc<AtomicU64>,
    /// The bodies, one after the other, if they are stored.
    kept: Option<Arc<Mutex<Vec<u8>>>>,
}

// === impl Sink ===

impl Sink {
    /// Starts a sink that stores nothing.
    ///
    /// # Panics
    /// Loopback has no free port.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a sink that stores the bodies.
    ///
    /// # Panics
    /// Loopback has no free port.
    #[must_use]
    pub fn keeping() -> Self {
        Self::start_with(Some(Arc::default()))
    }

    /// Returns the bodies so far, one after the other.
    ///
    /// # Panics
    /// The sink stores none.
    #[must_use]
    pub fn kept(&self) -> Vec<u8> {
        self.kept.as_ref().expect("it keeps the bodies").lock().unwrap().clone()
    }

    fn start_with(kept: Option<Arc<Mutex<Vec<u8>>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicU64::new(0));
        let total = Arc::clone(&bytes);
        let keeps = kept.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (total, keeps) = (Arc::clone(&total), keeps.clone());
                std::thread::spawn(move || serve(stream, &total, keeps.as_deref()));
            }
        });
        Self { port, bytes, kept }
    }

    /// Returns its URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the number of bytes of all bodies so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

/// Answers 200 to every request of one connection, until it closes or does not use HTTP/1.1 with a length.
fn serve(stream: TcpStream, total: &AtomicU64, keeps: Option<&Mutex<Vec<u8>>>) -> Option<()> {
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
        let mut body = reader.by_ref().take(length?);
        let taken = match keeps {
            Some(kept) => body.read_to_end(&mut kept.lock().unwrap()).ok()? as u64,
            None => std::io::copy(&mut body, &mut std::io::sink()).ok()?,
        };
        total.fetch_add(taken, Relaxed);
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}
