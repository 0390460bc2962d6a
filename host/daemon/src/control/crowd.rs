//! Connections to the control socket: their maximum number, which one is closed to make room, and how long one may be idle.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use host_model::Lock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::Sleep;

/// All open connections.
#[derive(Default)]
pub(super) struct Crowd {
    guests: Lock<Vec<Arc<Guest>>>,
    /// Notified when a connection has closed or become idle.
    moved: Notify,
}

/// One connection. Dropping it frees its place.
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    guest: Arc<Guest>,
}

/// The state of a connection.
pub(super) struct Guest {
    /// Number of requests in progress: 0 or 1, because they are handled one after the other.
    busy: AtomicU64,
    /// The time at which it was accepted.
    entered: Instant,
    /// Whether it has had an answer.
    answered: AtomicBool,
    /// The time of its last read, write or answer.
    moved: Lock<Instant>,
    /// Whether it was asked to close. It holds its place until it has closed.
    leaving: AtomicBool,
    /// Notified when it has to close.
    out: Notify,
}

/// Marks a request as in progress until dropped.
pub(super) struct Busy<'a>(&'a Seat);

/// A stream that is closed if its peer does not read within a time limit.
pub(super) struct Patient {
    stream: UnixStream,
    seat: Arc<Seat>,
    /// Maximum time for the peer to read.
    within: Duration,
    /// The timer, while the peer does not read.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// Maximum number of connections: enough for every script on a node, too few to exhaust descriptors.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// Time in which a new connection may send its first request before it can be closed to make room.
const WELCOME: Duration = Duration::from_millis(500);
/// Maximum time for a peer, which is on this machine, to read written data.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

// === impl Crowd ===

impl Crowd {
    /// Returns a place for one more connection. If all are taken, the connection that has been idle for longest is closed; if all wait for
    /// answers, the first one that gets its answer.
    pub(super) async fn enter(self: &Arc<Self>) -> Arc<Seat> {
        loop {
            let moved = self.moved.notified();
            if let Some(seat) = self.seat() {
                return seat;
            }
            // The timeout, because the end of a connection's `WELCOME` is not notified.
            let _ = tokio::time::timeout(WELCOME, moved).await;
        }
    }

    /// Returns a place if one is free; otherwise asks one connection to close.
    fn seat(self: &Arc<Self>) -> Option<Arc<Seat>> {
        let mut guests = self.guests();
        if guests.len() >= MAX_CONNECTIONS {
            let leaves = |guest: &Arc<Guest>| guest.leaving.load(Relaxed);
            let idle = guests.iter().filter(|guest| guest.may_go());
            if let Some(guest) = idle.min_by_key(|guest| guest.moved()).filter(|_| !guests.iter().any(leaves)) {
                guest.leaving.store(true, Relaxed);
                guest.out.notify_one();
            }
            return None;
        }
        let guest = Arc::new(Guest::new());
        guests.push(Arc::clone(&guest));
        Some(Arc::new(Seat { crowd: Arc::clone(self), guest }))
    }

    /// Returns when all connections have closed.
    pub(super) async fn gone(&self) {
        loop {
            let moved = self.moved.notified();
            if self.guests().is_empty() {
                return;
            }
            moved.await;
        }
    }

    fn guests(&self) -> MutexGuard<'_, Vec<Arc<Guest>>> {
        self.guests.lock()
    }
}

// === impl Seat ===

impl Seat {
    /// Returns when this connection has to close.
    pub(super) async fn out(&self) {
        self.guest.out.notified().await;
    }

    /// Marks a request of this connection as in progress.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.guest.busy.fetch_add(1, Relaxed);
        Busy(self)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.guests().retain(|guest| !Arc::ptr_eq(guest, &self.guest));
        self.crowd.moved.notify_waiters();
    }
}

// === impl Guest ===

impl Guest {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            busy: AtomicU64::new(0),
            entered: now,
            answered: AtomicBool::new(false),
            moved: Lock::new(now),
            leaving: AtomicBool::new(false),
            out: Notify::new(),
        }
    }

    fn moved(&self) -> Instant {
        *self.moved.lock()
    }

    /// Whether it may be asked to close: no request is in progress, and a new connection has had time to send one.
    fn may_go(&self) -> bool {
        let settled = self.answered.load(Relaxed) || self.entered.elapsed() > WELCOME;
        self.busy.load(Relaxed) == 0 && settled
    }

    fn moves(&self) {
        *self.moved.lock() = Instant::now();
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.guest.busy.fetch_sub(1, Relaxed);
        self.0.guest.answered.store(true, Relaxed);
        self.0.guest.moves();
        self.0.crowd.moved.notify_waiters();
    }
}

// === impl Patient ===

impl Patient {
    pub(super) fn new(stream: UnixStream, seat: Arc<Seat>) -> Self {
        Self { stream, seat, within: WRITE_TIMEOUT, waiting: None }
    }

    /// Passes on the result of a write; an error if the peer has not read for too long.
    fn taken<T>(&mut self, taken: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if taken.is_ready() {
            self.waiting = None;
            self.seat.guest.moves();
            return taken;
        }
        let within = self.within;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.seat.guest.moves();
        }
        read
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken(taken, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let taken = Pin::new(&mut self.stream).poll_flush(context);
        self.taken(taken, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.taken(taken, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_has_kept_still_for_longest_makes_room_and_whoever_waits_for_an_answer_does_not() {
        let crowd = Arc::new(Crowd::default());
        let mut seats = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            seats.push(crowd.enter().await);
        }
        let third = seats.remove(2);
        seats.iter().chain([&third]).for_each(|seat| seat.guest.answered.store(true, Relaxed));
        let first = seats[0].busy();
        seats[1].guest.moves();
        let mut entering = std::pin::pin!(crowd.enter());
        tokio::select! {
            _ = entering.as_mut() => panic!("there is no room"),
            () = third.out() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => panic!("the first waits, the second has just moved"),
        }
        drop(third);
        let one_more = tokio::time::timeout(Duration::from_secs(5), entering).await.unwrap();
        drop((first, one_more));
    }

    #[tokio::test]
    async fn where_all_wait_for_answers_the_next_one_waits_as_well() {
        let crowd = Arc::new(Crowd::default());
        let mut seats = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            seats.push(crowd.enter().await);
        }
        let mut busy: Vec<_> = seats.iter().map(|seat| seat.busy()).collect();
        let mut entering = std::pin::pin!(crowd.enter());
        assert!(tokio::time::timeout(Duration::from_millis(20), entering.as_mut()).await.is_err());
        let last = seats.last().unwrap();
        busy.pop();
        tokio::select! {
            _ = entering.as_mut() => panic!("there is no room"),
            () = last.out() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => panic!("the last was answered"),
        }
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_loses_its_connection() {
        use tokio::io::AsyncWriteExt as _;
        let (near, _far) = UnixStream::pair().unwrap();
        let seat = Arc::new(Crowd::default()).enter().await;
        let mut patient = Patient { within: Duration::from_millis(20), ..Patient::new(near, seat) };
        let error = patient.write_all(&vec![0; 16 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
