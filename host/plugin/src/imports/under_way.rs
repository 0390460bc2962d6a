//! The state of the current call: the number of its calls into the host, and its last error line.

use host_model::printable;

use super::Imports;

/// Maximum length of the plugin's last error line, in bytes.
const WORDS: usize = 300;

/// State that is reset at every call.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    host_calls: u32,
    /// Last error line that the plugin wrote: the only trace of a panic.
    last_words: String,
}

/// A call that made more calls into the host than its limit.
#[derive(Debug, thiserror::Error)]
#[error("it called the host more than {0} times in one call (`host_calls`)")]
pub(crate) struct TooManyHostCalls(u32);

// === impl UnderWay ===

impl UnderWay {
    /// Number of calls into the host so far.
    pub(crate) const fn host_calls(&self) -> u32 {
        self.host_calls
    }

    /// Returns the last error line that the plugin wrote before it failed, if any.
    pub(crate) fn last_words(&self) -> Option<String> {
        let words = printable(&self.last_words, WORDS);
        (!words.is_empty()).then_some(words)
    }

    /// Appends a line of standard error; if the total is too long, its end is kept.
    pub(super) fn added(&mut self, line: &str) {
        if !self.last_words.is_empty() {
            self.last_words.push(' ');
        }
        self.last_words.push_str(line);
        let over = self.last_words.len().saturating_sub(WORDS);
        self.last_words.drain(..self.last_words.ceil_char_boundary(over));
    }

    /// Stores an error line. It is cut, because it may stay in memory for long until the next call.
    pub(super) fn said(&mut self, mut line: String) {
        // Escapes are not printed, so the printed line needs more than `WORDS` bytes of input.
        line.truncate(line.floor_char_boundary(WORDS * 2));
        line.shrink_to_fit();
        self.last_words = line;
    }
}

// === impl Imports ===

impl Imports {
    /// Resets the state for a new call.
    pub(crate) fn begin(&mut self) {
        self.under_way.host_calls = 0;
        self.under_way.last_words.clear();
        self.limiter.begin();
    }

    /// Counts a call from the guest into the host; called first by every import.
    ///
    /// # Errors
    /// The limit is exceeded, which ends the guest's call.
    pub(crate) fn crossed(&mut self) -> wasmtime::Result<()> {
        self.under_way.host_calls += 1;
        if self.under_way.host_calls > self.host_call_cap {
            return Err(wasmtime::Error::new(TooManyHostCalls(self.host_call_cap)));
        }
        Ok(())
    }
}
