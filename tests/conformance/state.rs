//! State that is handed over, or not.

use host_model::{FaultKind, State};

use host_tests::guests::conformance::behaves;

use crate::rig::{batch, faults, sampler};

conformance! {
    state_of_a_gigabyte => "copies none of it; the successor starts cold" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.export_state(), FaultKind::Contract, "out of bounds");
    }
    state_of_many_megabytes => "takes no state over `state_bytes`; the successor starts cold" {
        let roomy = host_plugin::Limits { memory_bytes: 64 << 20, output_bytes: 64 << 20, ..crate::rig::limits() };
        let mut sampler = crate::rig::sampler_with::<It>(host_plugin::Setup { limits: roomy, ..crate::rig::setup() }).unwrap();
        faults(sampler.export_state(), FaultKind::Output, "state_bytes");
    }
    state_of_another_version => "hands it on, and lets the successor say that it does not know it" {
        let state = sampler::<It>().unwrap().export_state().unwrap().unwrap();
        let mut successor = sampler::<behaves>().unwrap();
        faults(successor.import_state(&state), FaultKind::Refused, "state of version 4294967295 is not known");
        assert!(successor.decide(&batch(3)).is_ok());
        assert_eq!(successor.stats().offences(), 0);
    }
    crashes_on_a_state => "builds it again without the state: it starts cold" {
        let state = State { version: 1, bytes: vec![0; 8] };
        let mut successor = sampler::<It>().unwrap();
        faults(successor.import_state(&state), FaultKind::Trap, "unreachable");
        assert!(successor.decide(&batch(3)).is_ok());
    }
    traps_in_export_state => "counts a trap; the successor starts cold" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.export_state(), FaultKind::Trap, "unreachable");
    }
}
