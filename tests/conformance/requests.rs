//! Requests of guests to the host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host_model::{FaultKind, MapAccess, MapError};
use host_plugin::{Host, Setup};

use crate::rig::{batch, faults, granted, sampler, sampler_with};

/// Maps that are a hash map.
#[derive(Default)]
struct Maps(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl MapAccess for Maps {
    fn lookup(&self, _map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, MapError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn update(&self, _map: &str, key: &[u8], value: &[u8]) -> Result<(), MapError> {
        self.0.lock().unwrap().insert(key.into(), value.into());
        Ok(())
    }

    fn delete(&self, _map: &str, key: &[u8]) -> Result<(), MapError> {
        self.0.lock().unwrap().remove(key).map(drop).ok_or(MapError::Kernel(2))
    }
}

/// Returns a setup with these grants and with maps, and the maps.
fn with_maps(words: &[&str]) -> (Setup, Arc<Maps>) {
    let maps = Arc::new(Maps::default());
    (Setup { host: Host { maps: maps.clone(), ..Host::default() }, ..granted(words) }, maps)
}

conformance! {
    floods_the_log => "writes twenty lines a second, and ends the call at `host_calls`" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::HostCalls, "1000");
        assert!(sampler.stats().lines_left_out.load(std::sync::atomic::Ordering::Relaxed) > 900);
    }
    floods_the_clock => "ends the call at `host_calls`" {
        let mut sampler = sampler_with::<It>(granted(&["clock"])).unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::HostCalls, "1000");
        assert!(sampler.stats().host_calls.load(std::sync::atomic::Ordering::Relaxed) >= 1000);
    }
    floods_the_configuration => "ends the call at `host_calls`, or where it handed over more than it may" {
        let start = Instant::now();
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::HostCalls, "1000");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
    writes_outside_its_prefix => "writes to no key that does not begin with the granted prefix" {
        // "mi"
        let (setup, maps) = with_maps(&["maps:rates:rw:6d69"]);
        let mut sampler = sampler_with::<It>(setup).unwrap();
        let fault = faults(sampler.decide(&batch(1)), FaultKind::Refused, "inside Ok(())");
        assert!(fault.detail.contains("NotGranted") && fault.detail.contains("maps:rates:rw"), "{fault}");
        assert_eq!(maps.0.lock().unwrap().keys().collect::<Vec<_>>(), [b"mine"]);
    }
    reads_a_map_it_was_not_given => "names the grant that would do" {
        let (setup, _) = with_maps(&["maps:rates"]);
        let mut sampler = sampler_with::<It>(setup).unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Refused, "`maps:secrets`");
    }
    updates_a_map_too_often => "writes as often as was granted" {
        let (setup, _) = with_maps(&["maps:rates:rw:6d69:40/s"]);
        let mut sampler = sampler_with::<It>(setup).unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Refused, "40 written, then Err");
    }
    reads_a_table_it_was_not_given => "names the grant that would do" {
        let mut sampler = sampler_with::<It>(granted(&["tables:process:executable.path"])).unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Refused, "tables:process:command_line");
    }
    asks_for_a_billion_values => "takes no question that is larger than what a call may hand over, and answers none of more than 262144 values" {
        let roomy = host_plugin::Limits { memory_bytes: 64 << 20, ..crate::rig::limits() };
        let mut sampler = sampler_with::<It>(Setup { limits: roomy, ..granted(&["tables"]) }).unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Output, "`output_bytes`");
        let roomy = host_plugin::Limits { memory_bytes: 64 << 20, output_bytes: 64 << 20, ..crate::rig::limits() };
        let mut sampler = sampler_with::<It>(Setup { limits: roomy, ..granted(&["tables"]) }).unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Refused, "at most 262144 values");
    }
}
