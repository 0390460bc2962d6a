//! Notifications of processes that have just executed a program, so that a short-lived one can be looked at before its records arrive. They
//! are sent while a probe that traces libraries is loaded; a listener that does not keep up misses some.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use host_model::Lock;

/// The channels of all listeners.
static LISTENERS: Lock<Vec<SyncSender<u32>>> = Lock::new(Vec::new());

/// Returns a channel of the pids of new processes; at most `most` of them wait unread.
pub fn listen(most: usize) -> Receiver<u32> {
    let (tell, told) = sync_channel(most);
    LISTENERS.lock().push(tell);
    told
}

pub(crate) fn tell(pid: u32) {
    let mut listeners = LISTENERS.lock();
    listeners.retain(|listener| !matches!(listener.try_send(pid), Err(TrySendError::Disconnected(_))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_misses_some_and_who_is_gone_is_forgotten() {
        let (slow, gone) = (listen(2), listen(1));
        drop(gone);
        for pid in 1..10 {
            tell(pid);
        }
        assert_eq!(slow.try_iter().collect::<Vec<_>>(), [1, 2]);
        tell(10);
        assert_eq!(slow.try_iter().collect::<Vec<_>>(), [10]);
        drop(slow);
        tell(11);
        assert!(LISTENERS.lock().is_empty());
    }
}
