//! The thread that writes lines, so that a slow terminal or a full pipe never holds up a path.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use host_model::{Condvar, Lock};

use crate::queue::Receipt;

/// Lines on their way to the output.
#[derive(Debug)]
pub(crate) struct Lines {
    state: Lock<State>,
    changed: Condvar,
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Bytes, Receipt)>,
    /// The account of the bytes that are being written. It is settled by the side that takes it: the thread after the write, or a drain
    /// that has stopped waiting.
    writing: Option<Receipt>,
    /// Whether nothing more is accepted: the output is gone, or the exporter has been drained.
    ended: bool,
}

// === impl Lines ===

impl Lines {
    /// Starts the thread. It ends when the output is gone or the lines have been drained.
    pub(crate) fn start(output: Box<dyn Write + Send>) -> std::io::Result<Arc<Self>> {
        let lines = Arc::new(Self { state: Lock::default(), changed: Condvar::new(), closed: watch::Sender::new(false) });
        let writer = Arc::clone(&lines);
        std::thread::Builder::new().name("export-lines".to_owned()).spawn(move || writer.run(output))?;
        Ok(lines)
    }

    /// Appends lines to the queue.
    pub(crate) fn push(&self, bytes: Bytes, receipt: Receipt) {
        let mut state = self.state();
        if !state.ended {
            state.waiting.push_back((bytes, receipt));
            self.changed.notify_all();
        }
    }

    /// Returns whether the reader of the output has gone.
    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Waits until all is written, at most until `deadline`; the rest then counts as dropped at shutdown.
    pub(crate) fn drain(&self, deadline: Instant) {
        let mut state = self.state();
        while !state.ended && (!state.waiting.is_empty() || state.writing.is_some()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            state = self.changed.wait_timeout(state, left);
        }
        self.end(state);
    }

    fn run(&self, mut output: Box<dyn Write + Send>) {
        while let Some(bytes) = self.take() {
            let written = output.write_all(&bytes).and_then(|()| output.flush());
            let mut state = self.state();
            match (written, state.writing.take()) {
                (Ok(()), Some(receipt)) => receipt.exported(),
                (Ok(()), None) => {}
                (Err(error), unwritten) => {
                    if error.kind() != std::io::ErrorKind::BrokenPipe {
                        tracing::error!("the output cannot be written: {error}");
                    }
                    drop(unwritten);
                    self.end(state);
                    self.closed.send_replace(true);
                    return;
                }
            }
            self.changed.notify_all();
        }
    }

    /// Returns the next lines; waits for them. None at the end.
    fn take(&self) -> Option<Bytes> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some((bytes, receipt)) = state.waiting.pop_front() {
                state.writing = Some(receipt);
                return Some(bytes);
            }
            state = self.changed.wait(state);
        }
    }

    fn end(&self, mut state: MutexGuard<'_, State>) {
        state.ended = true;
        let left = (std::mem::take(&mut state.waiting), state.writing.take());
        drop(state);
        drop(left);
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
