//! A client of the control socket: one connection, kept open, without a process for each request.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

/// A connection to a host under test. Made again when the host has closed it.
pub struct Control {
    socket: PathBuf,
    stream: Option<BufReader<UnixStream>>,
}

/// The host's refusal, in its own words.
pub type Refused = String;

/// Maximum time for an answer; a component of a hundred megabytes is read meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

// === impl Control ===

impl Control {
    /// Creates a client of the host at this socket; it does not connect yet.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket, stream: None }
    }

    /// Loads a plugin from a file into a slot; returns the live plugin.
    ///
    /// # Errors
    /// The host refuses.
    pub fn load(&mut self, file: &Path, slot: &str, config: Option<&Value>) -> Result<Value, Refused> {
        let mut load = json!({ "path": file, "slot": slot });
        if let (Some(config), Some(load)) = (config, load.as_object_mut()) {
            load.insert("config".into(), config.clone());
        }
        self.post("/v1/plugins/load", &load)
    }

    /// Makes an earlier generation of a slot live again.
    ///
    /// # Errors
    /// There is no earlier generation.
    pub fn rollback(&mut self, slot: &str) -> Result<Value, Refused> {
        self.post("/v1/plugins/rollback", &json!({ "slot": slot }))
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// The slot may not be empty.
    pub fn unload(&mut self, slot: &str) -> Result<Value, Refused> {
        self.post("/v1/plugins/unload", &json!({ "slot": slot }))
    }

    /// Requests a path.
    ///
    /// # Panics
    /// The host refuses, or does not answer.
    #[must_use]
    pub fn get(&mut self, path: &str) -> Value {
        self.ask("GET", path, "").unwrap()
    }

    /// Requests a change.
    ///
    /// # Errors
    /// The host refuses.
    ///
    /// # Panics
    /// The host does not answer.
    pub fn post(&mut self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<Value, Refused> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // The host closes idle connections, so one that was used before may be gone.
        let answer = self.stream.take().and_then(|stream| exchange(stream, &request).ok());
        let (stream, status, answer) = answer.unwrap_or_else(|| {
            let stream = UnixStream::connect(&self.socket).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            exchange(BufReader::new(stream), &request).unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"))
        });
        self.stream = Some(stream);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        match status {
            200 => Ok(answer),
            400..=499 => Err(format!("{}: {}", answer["error"]["step"], answer["error"]["message"])),
            _ => panic!("{method} {path} {body}: status {status}, {answer}"),
        }
    }
}

fn exchange(mut stream: BufReader<UnixStream>, request: &str) -> std::io::Result<(BufReader<UnixStream>, u16, Vec<u8>)> {
    stream.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut length = 0;
    while line.trim_end() != "" {
        line.clear();
        stream.read_line(&mut line)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((stream, status, body))
}
