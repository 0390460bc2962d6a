//! The buffer that a sink encodes into; its bytes are handed on without a copy, and it comes back for reuse.

use std::sync::Arc;

use bytes::Bytes;
use host_model::Lock;

/// Number of encoded bytes after which a sink starts another parcel.
pub(crate) const PARCEL_BYTES: usize = 256 << 10;
/// The step by which a buffer of a parcel's size grows.
const STEP: usize = 32 << 10;
/// Maximum number of buffers kept for reuse: two parcels being written and two requests of two under way.
const KEPT: usize = 6;
/// Number of small parcels in a row after which large buffers are freed. The last parcel of each batch may be small under load, too.
const SMALL: u32 = 8;
/// Maximum size of a buffer kept for reuse: one that a huge row has stretched is freed.
const KEPT_BYTES: usize = 4 * PARCEL_BYTES;

/// A buffer, and the number of bytes written. The rest is not touched: it was zeroed once, when it was allocated.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    room: Vec<u8>,
    /// The offset of the next byte.
    pub at: usize,
    /// Number of parcels since the last one that filled at least half of the buffer.
    small: u32,
}

/// Buffers ready for reuse.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pool(Arc<Lock<Vec<Vec<u8>>>>);

/// Bytes taken out of a buffer.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The bytes.
    pub bytes: Bytes,
    /// Size of the memory that they occupy.
    pub held: u64,
}

/// A buffer under way; returns to the pool when its last reader is done.
struct Lent {
    room: Vec<u8>,
    written: usize,
    pool: Pool,
}

// === impl Buffer ===

impl Buffer {
    /// Returns the buffer, with at least `more` bytes behind those written.
    #[inline]
    pub(crate) fn room(&mut self, more: usize) -> &mut [u8] {
        let needed = self.at + more;
        if self.room.len() < needed {
            // Doubled while it is small; a whole parcel and its last row should almost fill it.
            let room = if needed < PARCEL_BYTES { needed.next_power_of_two() } else { needed.next_multiple_of(STEP) };
            self.room.resize(room, 0);
        }
        &mut self.room
    }

    /// Frees the memory that one huge row took. Call it when all written bytes have been taken.
    pub(crate) fn shrink(&mut self) {
        if self.at == 0 && self.room.len() > KEPT_BYTES {
            self.room = Vec::new();
        }
    }
}

// === impl Pool ===

impl Pool {
    /// Takes the bytes written to `buffer`, which can then be written to again. A buffer that is mostly empty is copied from instead of
    /// given away, so that small parcels do not occupy large buffers. After [`SMALL`] small ones in a row each frees one of the large
    /// buffers in the pool.
    pub(crate) fn take(&self, buffer: &mut Buffer) -> Taken {
        let written = std::mem::take(&mut buffer.at);
        if written < buffer.room.len() / 2 {
            buffer.small = buffer.small.saturating_add(1);
            if buffer.small > SMALL {
                drop(self.rooms().pop());
            }
            let bytes = Bytes::copy_from_slice(buffer.room.get(..written).unwrap_or_default());
            return Taken { held: bytes.len() as u64, bytes };
        }
        buffer.small = 0;
        let spare = self.rooms().pop().unwrap_or_default();
        let room = std::mem::replace(&mut buffer.room, spare);
        let held = room.len() as u64;
        Taken { bytes: Bytes::from_owner(Lent { room, written, pool: self.clone() }), held }
    }

    fn rooms(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock()
    }
}

// === impl Taken ===

impl From<Vec<u8>> for Taken {
    fn from(bytes: Vec<u8>) -> Self {
        Self { held: bytes.capacity() as u64, bytes: Bytes::from(bytes) }
    }
}

// === impl Lent ===

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.room.get(..self.written).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.room);
        let mut kept = self.pool.rooms();
        if kept.len() < KEPT && room.len() <= KEPT_BYTES {
            kept.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(buffer: &mut Buffer, bytes: &[u8]) {
        let at = buffer.at;
        buffer.room(bytes.len())[at..at + bytes.len()].copy_from_slice(bytes);
        buffer.at += bytes.len();
    }

    #[test]
    fn a_full_buffer_is_handed_on_and_comes_back() {
        let pool = Pool::default();
        let mut buffer = Buffer::default();
        written(&mut buffer, &[7; 1000]);
        let place = buffer.room.as_ptr();
        let taken = pool.take(&mut buffer);
        assert_eq!((taken.bytes.as_ptr(), &taken.bytes[..], taken.held), (place, &[7; 1000][..], 1024));
        drop(taken);
        written(&mut buffer, &[8; 10]);
        pool.take(&mut buffer);
        assert_eq!((buffer.room.as_ptr(), buffer.at), (place, 0));
    }

    #[test]
    fn small_parcels_free_what_large_ones_left() {
        let pool = Pool::default();
        let mut buffer = Buffer::default();
        let parcels = [(); KEPT].map(|()| {
            written(&mut buffer, &[7; 1000]);
            pool.take(&mut buffer)
        });
        drop(parcels);
        assert_eq!(pool.rooms().len(), KEPT);
        buffer.room(1 << 20);
        let mut take = |length| {
            written(&mut buffer, &vec![7; length]);
            drop(pool.take(&mut buffer));
            pool.rooms().len()
        };
        for _ in 0..SMALL {
            assert_eq!(take(3), KEPT);
        }
        assert_eq!(take(3), KEPT - 1);
        assert_eq!(take(1 << 19), KEPT - 1, "it goes out with a buffer of its own, and comes back");
        assert_eq!(take(3), KEPT - 1, "a large one was among them");
    }

    #[test]
    fn a_small_parcel_does_not_keep_a_large_buffer() {
        let pool = Pool::default();
        let mut buffer = Buffer::default();
        buffer.room(1 << 20);
        written(&mut buffer, b"few");
        let taken = pool.take(&mut buffer);
        assert_eq!((&taken.bytes[..], taken.held, buffer.room.len()), (&b"few"[..], 3, 1 << 20));
    }

    #[test]
    fn room_for_a_huge_row_is_given_back_and_room_for_parcels_is_kept() {
        let mut buffer = Buffer::default();
        for (room, kept) in [(KEPT_BYTES, KEPT_BYTES), (KEPT_BYTES + 1, 0)] {
            buffer.room(room);
            buffer.shrink();
            assert_eq!(buffer.room.len(), kept);
        }
    }
}
