//! Processes that have just begun to run a program, for whoever wants to look at one while it is there: many are gone when their records
//! arrive. Told while a probe is loaded that traces libraries; who does not keep up misses some.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use host_model::Lock;

/// Who is told of new processes.
static LISTENERS: Lock<Vec<SyncSender<u32>>> = Lock::new(Vec::new());

/// Numbers of processes from now on, of which `most` wait to be read.
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
