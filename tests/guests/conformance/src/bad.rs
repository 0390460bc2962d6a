//! Kinds of misbehaviour that several guests share.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static CALLS: AtomicU32 = AtomicU32::new(0);

/// Never returns.
pub fn forever() -> ! {
    loop {
        black_box(());
    }
}

/// Ends the instance.
pub fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

/// Takes memory until there is none.
pub fn hoard() -> ! {
    loop {
        std::mem::forget(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Calls itself until there is no stack.
#[allow(unconditional_recursion)]
pub fn recurse(level: u64) -> u64 {
    black_box(recurse(black_box(level + 1))) + 1
}

/// Whether the number of calls, including this one, is a multiple of `every`.
pub fn nth(every: u32) -> bool {
    CALLS.fetch_add(1, Relaxed) % every == every - 1
}
