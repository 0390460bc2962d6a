//! The handle of a thread that reads a [`Source`](crate::Source): it sends commands, which the thread handles between two runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::stage::Waker;

/// A thread that reads a source. Dropping it stops the thread and waits for its end.
pub struct WorkerHandle<C> {
    sender: CommandSender<C>,
    finished: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The sending end of the commands.
pub struct CommandSender<C> {
    /// The commands; None means stop.
    commands: Sender<Option<C>>,
    /// Whether a command was sent, so that a batch boundary costs one load.
    pending: Arc<AtomicBool>,
    waker: Arc<dyn Waker>,
}

/// The receiving end of the commands, owned by the thread.
pub struct Commands<C> {
    commands: Receiver<Option<C>>,
    pending: Arc<AtomicBool>,
    finished: Arc<AtomicBool>,
}

/// The next step of a thread between two runs.
pub enum Next<C> {
    /// Handle this command; more may follow.
    Command(C),
    /// Go on: no command waits.
    Nothing,
    /// Take the rest of the source, and end.
    Stop,
}

// === impl WorkerHandle ===

impl<C: Send + 'static> WorkerHandle<C> {
    /// Starts a thread of this name; `waker` wakes its source.
    ///
    /// # Errors
    /// The system does not create the thread.
    pub fn start(
        name: String,
        waker: Arc<dyn Waker>,
        life: impl FnOnce(Commands<C>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, commands) = channel();
        let (pending, finished) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let received = Commands { commands, pending: Arc::clone(&pending), finished: Arc::clone(&finished) };
        let thread = std::thread::Builder::new().name(name).spawn(move || life(received))?;
        Ok(Self { sender: CommandSender { commands: sender, pending, waker }, finished, thread: Some(thread) })
    }
}

impl<C> WorkerHandle<C> {
    /// Returns the sender of its commands.
    #[must_use]
    pub const fn sender(&self) -> &CommandSender<C> {
        &self.sender
    }

    /// Whether the source has ended and all of it was handed on, or the thread has ended.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished.load(Ordering::Acquire) || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl<C> Drop for WorkerHandle<C> {
    fn drop(&mut self) {
        // The thread may have ended already.
        let _ = self.sender.push(None);
        if let Some(thread) = self.thread.take() {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "panicked");
            }
        }
    }
}

// === impl CommandSender ===

impl<C> CommandSender<C> {
    /// Sends a command and wakes the thread. None if the thread has ended.
    pub fn send(&self, command: C) -> Option<()> {
        self.push(Some(command))
    }

    /// Sends a command and waits for its answer. None if the thread has ended.
    pub fn ask<A>(&self, question: impl FnOnce(SyncSender<A>) -> C) -> Option<A> {
        self.send_question(question)?.recv().ok()
    }

    /// Like [`CommandSender::ask`]; None also if there is no answer within `timeout`.
    pub fn ask_within<A>(&self, timeout: Duration, question: impl FnOnce(SyncSender<A>) -> C) -> Option<A> {
        self.send_question(question)?.recv_timeout(timeout).ok()
    }

    fn send_question<A>(&self, question: impl FnOnce(SyncSender<A>) -> C) -> Option<Receiver<A>> {
        let (reply, answer) = sync_channel(1);
        self.send(question(reply)).map(|()| answer)
    }

    fn push(&self, command: Option<C>) -> Option<()> {
        let sent = self.commands.send(command).ok();
        self.pending.store(true, Ordering::Release);
        self.waker.wake();
        sent
    }
}

impl<C> Clone for CommandSender<C> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), pending: Arc::clone(&self.pending), waker: Arc::clone(&self.waker) }
    }
}

// === impl Commands ===

impl<C> Commands<C> {
    /// Whether a command may wait; costs one load.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes the next command, if there is one.
    #[must_use]
    pub fn next(&self) -> Next<C> {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return Next::Nothing;
        }
        match self.commands.try_recv() {
            Ok(Some(command)) => {
                // More commands may wait.
                self.pending.store(true, Ordering::Release);
                Next::Command(command)
            }
            Err(TryRecvError::Empty) => Next::Nothing,
            Ok(None) | Err(TryRecvError::Disconnected) => Next::Stop,
        }
    }

    /// Waits for a command. None means stop.
    #[must_use]
    pub fn wait(&self) -> Option<C> {
        self.commands.recv().ok().flatten()
    }

    /// Marks that the source has ended, and that everything from it was handed on.
    pub fn set_finished(&self) {
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
    fn commands_sent_before_the_stop_are_handled_before_it() {
        let (notes, sent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Barrier::new(2)));
        let (taken, all_sent) = (Arc::clone(&notes), Arc::clone(&sent));
        let worker = WorkerHandle::start("worker".into(), Arc::new(Asleep), move |commands| {
            all_sent.wait();
            loop {
                match commands.next() {
                    Next::Command(Command::Note(note)) => taken.lock().unwrap().push(note),
                    // The first caller has timed out.
                    Next::Command(Command::Count(reply)) => drop(reply.try_send(taken.lock().unwrap().len())),
                    Next::Command(Command::Panic) => panic!("as commanded"),
                    Next::Nothing => std::thread::yield_now(),
                    Next::Stop => break,
                }
            }
        });
        let worker = worker.unwrap();
        (0..3).for_each(|note| worker.sender().send(Command::Note(note)).unwrap());
        assert_eq!(worker.sender().ask_within(Duration::ZERO, Command::Count), None, "nobody answers yet");
        sent.wait();
        assert_eq!(worker.sender().ask(Command::Count), Some(3));
        worker.sender().send(Command::Note(3)).unwrap();
        drop(worker);
        assert_eq!(*notes.lock().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_thread_that_panicked_is_finished_and_answers_nobody() {
        let worker = WorkerHandle::start("worker".into(), Arc::new(Asleep), |commands: Commands<Command>| {
            if let Some(Command::Panic) = commands.wait() {
                panic!("as commanded");
            }
        });
        let worker = worker.unwrap();
        assert!(!worker.finished());
        worker.sender().send(Command::Panic).unwrap();
        assert_eq!(worker.sender().ask(Command::Count), None);
        while !worker.finished() {
            std::thread::yield_now();
        }
    }
}
