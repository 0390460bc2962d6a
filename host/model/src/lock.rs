//! Locks and a condition variable without poisoning.
//!
//! A panic in a thread that holds a lock is reported where the thread ends. The shared values are counters, queues and lists that are valid
//! after every statement, so other threads go on with them: a second panic there would lose more than the first did.

use std::sync::{self, MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Duration;

/// A mutex that is locked whether or not a thread panicked while it held it.
#[derive(Debug, Default)]
pub struct Lock<T: ?Sized>(sync::Mutex<T>);

/// A lock that many readers or one writer hold, whether or not a thread panicked while it held it.
#[derive(Debug, Default)]
pub struct ReadWriteLock<T: ?Sized>(sync::RwLock<T>);

/// The condition variable of a [`Lock`].
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

// === impl Lock ===

impl<T> Lock<T> {
    /// Creates a lock around a value.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Lock<T> {
    /// Waits for the lock and takes it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock; None if another thread has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

// === impl ReadWriteLock ===

impl<T> ReadWriteLock<T> {
    /// Creates a lock around a value.
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }
}

impl<T: ?Sized> ReadWriteLock<T> {
    /// Waits until no writer has the lock and takes it for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no thread has the lock and takes it for writing.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Condvar ===

impl Condvar {
    /// Creates a condition variable without waiting threads.
    #[must_use]
    pub const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    /// Wakes one thread that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Waits until it is woken.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is woken, at most for `timeout`.
    pub fn wait_timeout<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits as long as `condition` holds.
    pub fn wait_while<'a, T>(&self, guard: MutexGuard<'a, T>, condition: impl FnMut(&mut T) -> bool) -> MutexGuard<'a, T> {
        self.0.wait_while(guard, condition).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as `condition` holds, at most for `timeout`.
    pub fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        self.0.wait_timeout_while(guard, timeout, condition).unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_lock_is_taken_after_a_thread_panicked_with_it() {
        let lock = Arc::new(Lock::new(1));
        let held = Arc::clone(&lock);
        let panicked = std::thread::spawn(move || {
            let mut value = held.lock();
            *value = 2;
            panic!("while it holds the lock");
        });
        assert!(panicked.join().is_err());
        assert_eq!(*lock.lock(), 2);
        assert_eq!(lock.try_lock().map(|value| *value), Some(2));
    }

    #[test]
    fn who_has_the_lock_keeps_others_from_it() {
        let lock = Lock::new(());
        let _held = lock.lock();
        assert!(lock.try_lock().is_none());
    }

    #[test]
    fn a_wait_ends_at_its_timeout() {
        let (lock, changed) = (Lock::new(false), Condvar::new());
        let value = changed.wait_timeout_while(lock.lock(), Duration::from_millis(1), |value| !*value);
        assert!(!*value);
    }
}
