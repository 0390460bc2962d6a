//! Limits of the memory of a call.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use host_model::FaultKind;

use crate::rig::{batch, faults, sampler};

conformance! {
    hoards_in_decide => "gives it no more than `memory_bytes`, and says so" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Trap, "more than the 8 MiB of memory");
        assert_eq!(sampler.stats().memory_bytes.load(Relaxed), 0);
    }
    leaks_in_every_call => "replaces the instance between two calls when its memory has passed `recycle_bytes`" {
        let mut sampler = sampler::<It>().unwrap();
        let start = Instant::now();
        while sampler.stats().recycled.load(Relaxed) < 2 {
            assert!(sampler.decide(&batch(1)).is_ok());
            assert!(sampler.stats().memory_bytes.load(Relaxed) <= 8 << 20);
            assert!(start.elapsed() < Duration::from_secs(20), "it was not replaced");
            // 2.5 MiB a second: the instance is replaced at most once a second.
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(sampler.stats().offences(), 0);
    }
}
