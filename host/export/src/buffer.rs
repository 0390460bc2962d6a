//! The buffer that a sink encodes into, and how what it holds is handed on without a copy and comes back to be used again.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Encoded bytes after which a sink starts another parcel.
pub(crate) const PARCEL_BYTES: usize = 256 << 10;
/// Buffers that are kept for reuse: two parcels being written and two requests of two under way.
const KEPT: usize = 6;
/// A buffer that one huge row has stretched is not kept.
const KEPT_CAPACITY: usize = 4 * PARCEL_BYTES;

/// Buffers that have come back.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// What left a buffer.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The bytes.
    pub bytes: Bytes,
    /// The memory that they keep from being used.
    pub held: u64,
}

/// A buffer under way; goes back to the pool when the last reader is done.
struct Lent {
    buffer: Vec<u8>,
    pool: Pool,
}

// === impl Pool ===

impl Pool {
    /// Takes what `buffer` holds and leaves it empty. A buffer that is mostly empty is copied from instead of given away, so
    /// that small parcels do not keep large buffers.
    pub(crate) fn take(&self, buffer: &mut Vec<u8>) -> Taken {
        if buffer.len() < buffer.capacity() / 2 {
            let bytes = Bytes::copy_from_slice(buffer);
            buffer.clear();
            return Taken { held: bytes.len() as u64, bytes };
        }
        let spare = self.buffers().pop().unwrap_or_default();
        let buffer = std::mem::replace(buffer, spare);
        let held = buffer.capacity() as u64;
        Taken { bytes: Bytes::from_owner(Lent { buffer, pool: self.clone() }), held }
    }

    fn buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lent ===

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut kept = self.pool.buffers();
        if kept.len() < KEPT && buffer.capacity() <= KEPT_CAPACITY {
            buffer.clear();
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_is_handed_on_and_comes_back() {
        let pool = Pool::default();
        let mut buffer = vec![7; 1000];
        let place = buffer.as_ptr();
        let taken = pool.take(&mut buffer);
        assert_eq!((taken.bytes.as_ptr(), taken.bytes.len(), buffer.len()), (place, 1000, 0));
        drop(taken);
        buffer = vec![8; 10];
        pool.take(&mut buffer);
        assert_eq!(buffer.as_ptr(), place);
    }

    #[test]
    fn a_small_parcel_does_not_keep_a_large_buffer() {
        let pool = Pool::default();
        let mut buffer = Vec::with_capacity(1 << 20);
        buffer.extend_from_slice(b"few");
        let taken = pool.take(&mut buffer);
        assert_eq!((&taken.bytes[..], taken.held, buffer.capacity()), (&b"few"[..], 3, 1 << 20));
    }
}
