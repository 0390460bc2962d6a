//! Standard streams: input is closed; output and error become lines in the plugin's log.

use wasmtime::component::Resource;

use super::super::log::LINE;
use super::generated::wasi::cli::{stderr, stdin, stdout, terminal_input, terminal_output};
use super::generated::wasi::cli::{terminal_stderr, terminal_stdin, terminal_stdout};
use super::generated::wasi::io::{error, streams};
use super::time::Event;
use crate::imports::{Forbidden, Imports};
use crate::version::v0_1::probe::plugin::log::Level;
use streams::StreamError;

/// Maximum number of bytes that one call may write, as WASI defines it.
const WRITE: u64 = 4096;

/// Type of a resource that the host never passes out.
pub enum Never {}

/// A stream that is at its end.
pub struct Closed;

/// The destination of written bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Standard output: lines of level info.
    Out,
    /// Standard error: lines of level warn, as libraries write warnings and panics there.
    Err,
}

/// Lines that are not complete yet, per stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    out: Vec<u8>,
    err: Vec<u8>,
}

type Streamed<T> = wasmtime::Result<Result<T, StreamError>>;

// === impl Lines ===

impl Lines {
    fn of(&mut self, sink: Sink) -> &mut Vec<u8> {
        match sink {
            Sink::Out => &mut self.out,
            Sink::Err => &mut self.err,
        }
    }
}

/// Calls `end` with every line that ends within `bytes`, each with its beginning from earlier calls; stores the rest in `begun`. Bytes over
/// the maximum length of a log line are dropped.
fn split(begun: &mut Vec<u8>, bytes: &[u8], mut end: impl FnMut(&str)) {
    let mut pieces = bytes.split(|&byte| byte == b'\n').peekable();
    while let Some(piece) = pieces.next() {
        let room = LINE.saturating_sub(begun.len()).min(piece.len());
        begun.extend_from_slice(piece.get(..room).unwrap_or_default());
        if pieces.peek().is_some() {
            end(&String::from_utf8_lossy(begun));
            begun.clear();
        }
    }
}

// === impl Imports ===

impl Imports {
    /// Writes the incomplete lines when the instance ends.
    pub(in crate::imports) fn finish_lines(&mut self) {
        for sink in [Sink::Out, Sink::Err] {
            if !self.wasi.lines.of(sink).is_empty() {
                self.print(sink, b"\n");
            }
        }
    }

    fn print(&mut self, sink: Sink, bytes: &[u8]) {
        let Self { wasi, rates, under_way, .. } = self;
        split(wasi.lines.of(sink), bytes, |line| {
            let level = match sink {
                Sink::Out => Level::Info,
                Sink::Err => {
                    under_way.added(line);
                    Level::Warn
                }
            };
            rates.log().write(level, line);
        });
    }

    fn write_to(&mut self, stream: &Resource<Sink>, bytes: &[u8]) -> Streamed<()> {
        self.crossed()?;
        if bytes.len() as u64 > WRITE {
            return Err(Forbidden::error(format!("more than the {WRITE} bytes that one write may have")));
        }
        let sink = *self.wasi.handles.get(stream)?;
        self.waiting(|imports| imports.print(sink, bytes));
        Ok(Ok(()))
    }

    fn write_zeroes_to(&mut self, stream: &Resource<Sink>, len: u64) -> Streamed<()> {
        let zeroes = vec![0; usize::try_from(len.min(WRITE + 1)).unwrap_or(0)];
        self.write_to(stream, &zeroes)
    }
}

impl stdin::Host for Imports {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<Closed>> {
        self.crossed()?;
        self.wasi.hold(Closed)
    }
}

impl stdout::Host for Imports {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<Sink>> {
        self.crossed()?;
        self.wasi.hold(Sink::Out)
    }
}

impl stderr::Host for Imports {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<Sink>> {
        self.crossed()?;
        self.wasi.hold(Sink::Err)
    }
}

impl streams::Host for Imports {}

impl streams::HostInputStream for Imports {
    fn read(&mut self, _: Resource<Closed>, _: u64) -> Streamed<Vec<u8>> {
        self.crossed()?;
        Ok(Err(StreamError::Closed))
    }

    fn blocking_read(&mut self, stream: Resource<Closed>, len: u64) -> Streamed<Vec<u8>> {
        self.read(stream, len)
    }

    fn skip(&mut self, _: Resource<Closed>, _: u64) -> Streamed<u64> {
        self.crossed()?;
        Ok(Err(StreamError::Closed))
    }

    fn blocking_skip(&mut self, stream: Resource<Closed>, len: u64) -> Streamed<u64> {
        streams::HostInputStream::skip(self, stream, len)
    }

    fn subscribe(&mut self, _: Resource<Closed>) -> wasmtime::Result<Resource<Event>> {
        self.crossed()?;
        self.wasi.hold(Event::Ready)
    }

    fn drop(&mut self, stream: Resource<Closed>) -> wasmtime::Result<()> {
        self.wasi.handles.delete(stream)?;
        Ok(())
    }
}

impl streams::HostOutputStream for Imports {
    fn check_write(&mut self, _: Resource<Sink>) -> Streamed<u64> {
        self.crossed()?;
        Ok(Ok(WRITE))
    }

    fn write(&mut self, stream: Resource<Sink>, contents: Vec<u8>) -> Streamed<()> {
        self.write_to(&stream, &contents)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<Sink>, contents: Vec<u8>) -> Streamed<()> {
        self.write_to(&stream, &contents)
    }

    fn flush(&mut self, _: Resource<Sink>) -> Streamed<()> {
        self.crossed()?;
        Ok(Ok(()))
    }

    fn blocking_flush(&mut self, stream: Resource<Sink>) -> Streamed<()> {
        self.flush(stream)
    }

    fn subscribe(&mut self, _: Resource<Sink>) -> wasmtime::Result<Resource<Event>> {
        self.crossed()?;
        self.wasi.hold(Event::Ready)
    }

    fn write_zeroes(&mut self, stream: Resource<Sink>, len: u64) -> Streamed<()> {
        self.write_zeroes_to(&stream, len)
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<Sink>, len: u64) -> Streamed<()> {
        self.write_zeroes_to(&stream, len)
    }

    /// Splices nothing: no stream has data to read.
    fn splice(&mut self, _: Resource<Sink>, _: Resource<Closed>, _: u64) -> Streamed<u64> {
        self.crossed()?;
        Ok(Err(StreamError::Closed))
    }

    fn blocking_splice(&mut self, sink: Resource<Sink>, source: Resource<Closed>, len: u64) -> Streamed<u64> {
        self.splice(sink, source, len)
    }

    fn drop(&mut self, stream: Resource<Sink>) -> wasmtime::Result<()> {
        self.wasi.handles.delete(stream)?;
        Ok(())
    }
}

impl error::Host for Imports {}

impl error::HostError for Imports {
    fn to_debug_string(&mut self, _: Resource<Never>) -> wasmtime::Result<String> {
        self.crossed()?;
        Ok(String::new())
    }

    fn drop(&mut self, error: Resource<Never>) -> wasmtime::Result<()> {
        self.wasi.handles.delete(error)?;
        Ok(())
    }
}

impl terminal_input::Host for Imports {}

impl terminal_input::HostTerminalInput for Imports {
    fn drop(&mut self, terminal: Resource<Never>) -> wasmtime::Result<()> {
        self.wasi.handles.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::Host for Imports {}

impl terminal_output::HostTerminalOutput for Imports {
    fn drop(&mut self, terminal: Resource<Never>) -> wasmtime::Result<()> {
        self.wasi.handles.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for Imports {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<Never>>> {
        self.crossed()?;
        Ok(None)
    }
}

impl terminal_stdout::Host for Imports {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<Never>>> {
        self.crossed()?;
        Ok(None)
    }
}

impl terminal_stderr::Host for Imports {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<Never>>> {
        self.crossed()?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_however_it_is_written_and_its_rest_waits() {
        let (mut begun, mut lines) = (Vec::new(), Vec::new());
        for bytes in [&b"one, "[..], b"two\nthree\n\nfo", b"ur"] {
            split(&mut begun, bytes, |line| lines.push(line.to_owned()));
        }
        assert_eq!(lines, ["one, two", "three", ""]);
        assert_eq!(begun, b"four");
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_a_line() {
        let mut begun = Vec::new();
        for _ in 0..100 {
            split(&mut begun, &[b'x'; 4096], |_| panic!("no line has ended"));
        }
        assert_eq!(begun.len(), LINE);
    }
}
