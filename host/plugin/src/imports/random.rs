//! Random numbers from the kernel, for plugins that are granted them.

use ring::rand::{SecureRandom, SystemRandom};

use super::{Forbidden, Imports};
use crate::version::v0_1::probe::plugin::random::Host;

/// Maximum number of bytes per call, which take a tenth of a millisecond of the path's time.
const MOST: usize = 64 << 10;

impl Host for Imports {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.crossed()?;
        self.waiting(|imports| imports.random(count.into())).0
    }

    fn u64(&mut self) -> wasmtime::Result<u64> {
        self.crossed()?;
        self.waiting(|imports| imports.random_u64()).0
    }
}

impl Imports {
    /// Returns `count` random bytes of the system.
    pub(super) fn random(&self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if !self.grants.random {
            return Err(Forbidden::error("secure random numbers, which take the grant `random`"));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > MOST {
            return Err(Forbidden::error("more than 65536 random bytes at once"));
        }
        let mut bytes = vec![0; count];
        match SystemRandom::new().fill(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(Forbidden::error("random numbers, and the kernel has none")),
        }
    }

    pub(super) fn random_u64(&self) -> wasmtime::Result<u64> {
        Ok(self.random(8)?.try_into().map_or(0, u64::from_le_bytes))
    }
}
