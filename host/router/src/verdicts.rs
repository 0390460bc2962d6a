//! Verdicts on connections, written into a map of the kernel, so that it does not send unused records.

use std::sync::Arc;

use host_model::{MapAccess, MapError};

use crate::record::Key;

/// The map, by connection: verdict and bytes to capture of each call.
const MAP: &str = "l7_verdicts";
/// The kernel side's settings: bytes to capture without a verdict (u32), and a number (u32) whose change makes it read verdicts again.
const SETTINGS: &str = ".data.l7";

const IGNORE: u32 = 1;
const WANTED: u32 = 2;

/// The bit in the key of plaintext of a TLS library.
const PLAINTEXT: u64 = 1 << 63;

/// Writes verdicts into the kernel's map.
pub(crate) struct Verdicts {
    maps: Arc<dyn MapAccess>,
    /// Minimum bytes of each call that are captured, for any protocol.
    capture_bytes: u32,
    /// Whether there is no such map, as in a replay.
    absent: bool,
}

// === impl Verdicts ===

impl Verdicts {
    pub(crate) fn new(maps: Arc<dyn MapAccess>, capture_bytes: u32) -> Self {
        Self { maps, capture_bytes, absent: false }
    }

    /// Has the kernel stop sending a connection.
    pub(crate) fn ignore(&mut self, key: Key) {
        self.write(key, IGNORE, 0);
    }

    /// Has the kernel capture this many bytes of each call; more, if the operator asks for more.
    pub(crate) fn want(&mut self, key: Key, capture_bytes: u32) {
        self.write(key, WANTED, capture_bytes.max(self.capture_bytes));
    }

    /// Removes the verdict on a connection.
    pub(crate) fn forget(&mut self, key: Key) {
        if !self.absent {
            // The kernel may have dropped it before: it keeps the most recently used ones.
            let _ = self.maps.delete(MAP, &name(key));
        }
    }

    /// Has the kernel read all verdicts again: it caches those that it has read once.
    pub(crate) fn revise(&mut self) {
        let key = 0_u32.to_ne_bytes();
        let Ok(Some(mut value)) = self.maps.lookup(SETTINGS, &key) else { return };
        let Some(epoch) = value.get_mut(4..8) else { return };
        let next = epoch.first_chunk().map_or(0, |epoch| u32::from_ne_bytes(*epoch)).wrapping_add(1);
        epoch.copy_from_slice(&next.to_ne_bytes());
        if let Err(error) = self.maps.update(SETTINGS, &key, &value) {
            tracing::warn!(%error, "the kernel was not told to read its verdicts again");
        }
    }

    fn write(&mut self, key: Key, verdict: u32, capture_bytes: u32) {
        if self.absent {
            return;
        }
        let value = [verdict.to_ne_bytes(), capture_bytes.to_ne_bytes()].concat();
        match self.maps.update(MAP, &name(key), &value) {
            Ok(()) => {}
            Err(MapError::NoMap) => self.absent = true,
            // The kernel goes on sending: that costs time, not records.
            Err(error) => tracing::debug!(%error, "a verdict was not written"),
        }
    }
}

fn name(key: Key) -> [u8; 8] {
    (key.connection | if key.tls { PLAINTEXT } else { 0 }).to_ne_bytes()
}
