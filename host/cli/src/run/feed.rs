//! The last lines written, events and log lines, for the live table.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use host_model::Lock;

/// Maximum number of lines; no terminal shows more.
const LINES: usize = 200;
/// Maximum bytes of a line; no terminal is wider.
const WIDTH: usize = 1_024;

/// A writer that keeps the newest lines. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Feed {
    lines: Arc<Lock<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    complete: VecDeque<String>,
    /// A line without its end so far.
    open: Vec<u8>,
}

// === impl Feed ===

impl Feed {
    /// Returns the newest lines, at most this many, oldest first.
    pub(super) fn last(&self, count: usize) -> Vec<String> {
        let lines = self.lines.lock();
        lines.complete.iter().skip(lines.complete.len().saturating_sub(count)).cloned().collect()
    }
}

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines.lock();
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = WIDTH.saturating_sub(lines.open.len());
            lines.open.extend(part.iter().take(room));
            if parts.peek().is_some() {
                let line = String::from_utf8_lossy(&lines.open).into_owned();
                lines.open.clear();
                lines.complete.push_back(line);
            }
        }
        let surplus = lines.complete.len().saturating_sub(LINES);
        lines.complete.drain(..surplus);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_stay_and_an_open_line_waits_for_its_end() {
        let mut feed = Feed::default();
        (0..LINES + 5).for_each(|index| writeln!(feed, "line {index}").unwrap());
        feed.write_all(b"not yet").unwrap();
        assert_eq!(feed.last(2), ["line 203", "line 204"]);
        feed.write_all(b" done\n").unwrap();
        assert_eq!(feed.last(1), ["not yet done"]);
        assert_eq!(feed.last(1_000).len(), LINES);
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let mut feed = Feed::default();
        feed.write_all(&vec![b'a'; 10 * WIDTH]).unwrap();
        feed.write_all(b"\n").unwrap();
        assert_eq!(feed.last(1)[0].len(), WIDTH);
    }
}
