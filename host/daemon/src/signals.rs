//! Signals, on a thread of their own: they are handled even if all other threads wait.
//!
//! The first signal that requests a stop drains, the second ends the process at once. Signals that operators send by habit and that have no
//! effect here (SIGHUP, SIGUSR1) are answered with a line in the log, because without a handler they would kill the process.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot, watch};

use crate::last_resort::LastResort;

/// Signals received since this exists. Dropping it ends its thread, except in a process that has last words to print.
pub(crate) struct Signals {
    ended: watch::Receiver<Option<i32>>,
    hangups: Arc<Notify>,
    resort: Arc<LastResort>,
    _alive: oneshot::Sender<()>,
}

/// The thread that receives them.
struct Ear {
    heard: UnboundedReceiver<i32>,
    ended: watch::Sender<Option<i32>>,
    hangups: Arc<Notify>,
    resort: Arc<LastResort>,
    /// Whether a hangup means that the terminal is gone.
    on_terminal: bool,
}

/// Signals that request a stop. SIGXCPU comes shortly before `ulimit -t` is reached.
const ENDING: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::QUIT, Signal::XCPU];
/// Signals without an effect here. Without a handler each kills. SIGXFSZ: a write over `ulimit -f` fails instead, and is reported.
const UNUSED: [Signal; 9] = [
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::IO,
    Signal::POWER,
    Signal::XFSZ,
];

// === impl Signals ===

impl Signals {
    /// Starts the handler. `resort` ends the process at a second signal, or when a requested stop takes too long.
    pub(crate) fn listen(resort: Arc<LastResort>) -> io::Result<Self> {
        let (ending, ended) = watch::channel(None);
        let (alive, gone) = oneshot::channel();
        let (ready, begun) = std::sync::mpsc::sync_channel(1);
        let hangups = Arc::new(Notify::new());
        let on_terminal = (io::stdin().is_terminal() || io::stderr().is_terminal()) && !ignored(Signal::HUP);
        let (to, heard) = unbounded_channel();
        let ear = Ear { heard, ended: ending, hangups: Arc::clone(&hangups), resort: Arc::clone(&resort), on_terminal };
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async move {
                let listening = hear(&to);
                let failed = listening.is_err();
                let _ = ready.send(listening);
                if !failed {
                    ear.listen(gone).await;
                }
            });
        })?;
        begun.recv().map_err(io::Error::other)??;
        Ok(Self { ended, hangups, resort, _alive: alive })
    }

    /// Returns the number of the signal that requested a stop.
    pub(crate) fn ended(&self) -> impl Future<Output = i32> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            let number = ended.wait_for(Option::is_some).await.map(|number| number.unwrap_or_default());
            match number {
                Ok(number) => number,
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Notified of each hangup that does not request a stop.
    pub(crate) fn hangups(&self) -> Arc<Notify> {
        Arc::clone(&self.hangups)
    }

    /// Ends the process if stopping hangs.
    pub(crate) fn resort(&self) -> &Arc<LastResort> {
        &self.resort
    }
}

/// Forwards every signal.
fn hear(to: &UnboundedSender<i32>) -> io::Result<()> {
    let streams: io::Result<Vec<(i32, Stream)>> =
        ENDING.iter().chain(&UNUSED).map(|kind| Ok((kind.as_raw(), signal(SignalKind::from_raw(kind.as_raw()))?))).collect();
    for (number, mut stream) in streams? {
        let to = to.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let _ = to.send(number);
            }
        });
    }
    Ok(())
}

// === impl Ear ===

impl Ear {
    async fn listen(mut self, gone: oneshot::Receiver<()>) {
        let mut gone = std::pin::pin!(gone);
        let resort = Arc::clone(&self.resort);
        loop {
            tokio::select! {
                Some(number) = self.heard.recv() => self.hear(number),
                () = resort.armed() => {}
                () = resort.late() => resort.give_up(),
                _ = &mut gone, if !resort.has_a_word() => return,
            }
        }
    }

    fn hear(&self, number: i32) {
        let hangup = number == Signal::HUP.as_raw();
        if ENDING.iter().any(|kind| kind.as_raw() == number) || (hangup && self.on_terminal) {
            if self.ended.borrow().is_some() {
                self.resort.end_at_once(number);
            }
            self.resort.arm();
            self.ended.send_replace(Some(number));
        } else if hangup {
            self.hangups.notify_one();
        } else {
            tracing::info!("signal {number} asks for nothing here and is ignored; SIGTERM or SIGINT ends the host");
        }
    }
}

/// Whether the parent process has set this signal to be ignored, as `nohup` does.
fn ignored(kind: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw() - 1) & 1 == 1)
}

/// Time that a start gets after a signal: if nearly ready, it becomes ready and is drained.
pub(crate) const NEARLY_READY: Duration = Duration::from_secs(1);
