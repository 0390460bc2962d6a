//! The line to a thread that reads a source: what it is told there, it does between two runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use host_model::Waker;

/// A thread that reads a source. Dropping it stops the thread and waits for its end.
pub(crate) struct Reader<C> {
    line: Line<C>,
    finished: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The end of the line at which others speak.
pub(crate) struct Line<C> {
    /// None: stop.
    commands: Sender<Option<C>>,
    /// Something was said, so that a batch boundary costs one load.
    said: Arc<AtomicBool>,
    waker: Arc<dyn Waker>,
}

/// The thread's end of the line.
pub(crate) struct Orders<C> {
    commands: Receiver<Option<C>>,
    said: Arc<AtomicBool>,
    finished: Arc<AtomicBool>,
}

/// What there is to do between two runs.
pub(crate) enum Next<C> {
    /// This, and then there may be more.
    Command(C),
    /// Nothing: go on.
    Nothing,
    /// Take what is left, and end.
    Stop,
}

// === impl Reader ===

impl<C: Send + 'static> Reader<C> {
    /// Starts a thread of this name. What wakes it is its source's waker.
    pub(crate) fn start(
        name: String,
        waker: Arc<dyn Waker>,
        life: impl FnOnce(Orders<C>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, commands) = channel();
        let (said, finished) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let orders = Orders { commands, said: Arc::clone(&said), finished: Arc::clone(&finished) };
        let thread = std::thread::Builder::new().name(name).spawn(move || life(orders))?;
        Ok(Self { line: Line { commands: sender, said, waker }, finished, thread: Some(thread) })
    }
}

impl<C> Reader<C> {
    pub(crate) fn line(&self) -> &Line<C> {
        &self.line
    }

    /// True once the source has ended and all of it was handed on, or the thread has ended.
    pub(crate) fn finished(&self) -> bool {
        self.finished.load(Ordering::Acquire) || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl<C> Drop for Reader<C> {
    fn drop(&mut self) {
        // If the thread is gone already there is nobody to tell.
        let _ = self.line.say(None);
        if let Some(thread) = self.thread.take() {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "panicked");
            }
        }
    }
}

// === impl Line ===

impl<C> Line<C> {
    /// Tells the thread something, and wakes it. None: it has ended.
    pub(crate) fn tell(&self, command: C) -> Option<()> {
        self.say(Some(command))
    }

    /// Asks the thread something, and waits for its answer. None: it has ended.
    pub(crate) fn ask<A>(&self, question: impl FnOnce(SyncSender<A>) -> C) -> Option<A> {
        self.asked(question)?.recv().ok()
    }

    /// As [`Line::ask`]; None as well if there is no answer by then.
    pub(crate) fn ask_within<A>(&self, timeout: Duration, question: impl FnOnce(SyncSender<A>) -> C) -> Option<A> {
        self.asked(question)?.recv_timeout(timeout).ok()
    }

    fn asked<A>(&self, question: impl FnOnce(SyncSender<A>) -> C) -> Option<Receiver<A>> {
        let (reply, answer) = sync_channel(1);
        self.tell(question(reply)).map(|()| answer)
    }

    fn say(&self, command: Option<C>) -> Option<()> {
        let sent = self.commands.send(command).ok();
        self.said.store(true, Ordering::Release);
        self.waker.wake();
        sent
    }
}

impl<C> Clone for Line<C> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), said: Arc::clone(&self.said), waker: Arc::clone(&self.waker) }
    }
}

// === impl Orders ===

impl<C> Orders<C> {
    /// Whether it is time to ask what is next.
    pub(crate) fn are_there(&self) -> bool {
        self.said.load(Ordering::Acquire)
    }

    pub(crate) fn next(&self) -> Next<C> {
        if !self.said.swap(false, Ordering::AcqRel) {
            return Next::Nothing;
        }
        match self.commands.try_recv() {
            Ok(Some(command)) => {
                // There may be more.
                self.said.store(true, Ordering::Release);
                Next::Command(command)
            }
            Err(TryRecvError::Empty) => Next::Nothing,
            Ok(None) | Err(TryRecvError::Disconnected) => Next::Stop,
        }
    }

    /// Waits for a command. None: stop.
    pub(crate) fn wait(&self) -> Option<C> {
        self.commands.recv().ok().flatten()
    }

    /// The source has ended, and all that came from it was handed on.
    pub(crate) fn finished(&self) {
        self.finished.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;

    struct Asleep;

    impl Waker for Asleep {
        fn wake(&self) {}
    }

    enum Command {
        Note(u32),
        Panic,
        Count(SyncSender<usize>),
    }

    #[test]
    fn what_was_said_before_the_stop_is_done_before_it() {
        let (notes, said) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Barrier::new(2)));
        let (taken, all_said) = (Arc::clone(&notes), Arc::clone(&said));
        let reader = Reader::start("reader".into(), Arc::new(Asleep), move |orders| {
            all_said.wait();
            loop {
                match orders.next() {
                    Next::Command(Command::Note(note)) => taken.lock().unwrap().push(note),
                    // The first who asks has given up.
                    Next::Command(Command::Count(reply)) => drop(reply.try_send(taken.lock().unwrap().len())),
                    Next::Command(Command::Panic) => panic!("as told"),
                    Next::Nothing => std::thread::yield_now(),
                    Next::Stop => break,
                }
            }
        });
        let reader = reader.unwrap();
        (0..3).for_each(|note| reader.line().tell(Command::Note(note)).unwrap());
        assert_eq!(reader.line().ask_within(Duration::ZERO, Command::Count), None, "nobody answers yet");
        said.wait();
        assert_eq!(reader.line().ask(Command::Count), Some(3));
        reader.line().tell(Command::Note(3)).unwrap();
        drop(reader);
        assert_eq!(*notes.lock().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_thread_that_panicked_is_finished_and_answers_nobody() {
        let reader = Reader::start("reader".into(), Arc::new(Asleep), |orders: Orders<Command>| {
            if let Some(Command::Panic) = orders.wait() {
                panic!("as told");
            }
        });
        let reader = reader.unwrap();
        assert!(!reader.finished());
        reader.line().tell(Command::Panic).unwrap();
        assert_eq!(reader.line().ask(Command::Count), None);
        while !reader.finished() {
            std::thread::yield_now();
        }
    }
}
