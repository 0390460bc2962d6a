//! The current call: its calls into the host, and its last error line.

use host_model::printable;

use super::Imports;

/// Bytes of a plugin's last words that are kept.
const WORDS: usize = 300;

/// Begins anew with every call.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    host_calls: u32,
    /// The last line that it wrote as an error: of a panic, the only trace.
    last_words: String,
}

/// A call called the host more often than it may.
#[derive(Debug, thiserror::Error)]
#[error("it called the host more than {0} times in one call (`host_calls`)")]
pub(crate) struct TooManyHostCalls(u32);

// === impl UnderWay ===

impl UnderWay {
    /// Calls of the host so far.
    pub(crate) const fn host_calls(&self) -> u32 {
        self.host_calls
    }

    /// The last error line of a plugin before it failed, if any.
    pub(crate) fn last_words(&self) -> Option<String> {
        let words = printable(&self.last_words, WORDS);
        (!words.is_empty()).then_some(words)
    }

    /// Remembers a line of standard error after those before it: of many, the last.
    pub(super) fn added(&mut self, line: &str) {
        if !self.last_words.is_empty() {
            self.last_words.push(' ');
        }
        self.last_words.push_str(line);
        let over = self.last_words.len().saturating_sub(WORDS);
        self.last_words.drain(..self.last_words.ceil_char_boundary(over));
    }

    /// Remembers an error line. Cut, as it is kept until the next call, and the next call may be far.
    pub(super) fn said(&mut self, mut line: String) {
        // Escapes are not printed, so that more than `WORDS` bytes may be needed for as many.
        line.truncate(line.floor_char_boundary(WORDS * 2));
        line.shrink_to_fit();
        self.last_words = line;
    }
}

// === impl Imports ===

impl Imports {
    /// A call begins.
    pub(crate) fn begin(&mut self) {
        self.under_way.host_calls = 0;
        self.under_way.last_words.clear();
        self.limiter.begin();
    }

    /// The guest has called the host: the first line of every import.
    ///
    /// # Errors
    /// It did so more often than it may: the call ends here.
    pub(crate) fn crossed(&mut self) -> wasmtime::Result<()> {
        self.under_way.host_calls += 1;
        if self.under_way.host_calls > self.host_call_cap {
            return Err(wasmtime::Error::new(TooManyHostCalls(self.host_call_cap)));
        }
        Ok(())
    }
}
