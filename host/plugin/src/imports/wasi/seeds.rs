//! Random numbers of WASI: secure ones if they are granted, and a fixed sequence for the insecure interfaces.

use super::generated::wasi::random::{insecure, insecure_seed, random};
use crate::imports::{Forbidden, Imports};

/// Initial state of the sequence, in every instance, so that a plugin repeats its results on the same rows.
pub(super) const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;

/// Maximum number of bytes per call.
const MOST: u64 = 64 << 10;

// === impl Imports ===

impl Imports {
    /// Returns the next number of the sequence (xorshift64).
    fn guessable(&mut self) -> u64 {
        let seed = &mut self.wasi.seed;
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }
}

impl random::Host for Imports {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.crossed()?;
        self.random(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.crossed()?;
        self.random_u64()
    }
}

impl insecure::Host for Imports {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.crossed()?;
        if len > MOST {
            return Err(Forbidden::error("more than 65536 random bytes at once"));
        }
        let len = usize::try_from(len).unwrap_or(0);
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.guessable().to_le_bytes()).collect();
        bytes.truncate(len);
        Ok(bytes)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.crossed()?;
        Ok(self.guessable())
    }
}

impl insecure_seed::Host for Imports {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.crossed()?;
        Ok((self.guessable(), self.guessable()))
    }
}
