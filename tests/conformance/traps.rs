//! Calls that end the instance, or return an error.

use host_model::FaultKind;

use crate::rig::{batch, decode, decoder, enricher, faults, sampler};

conformance! {
    behaves => "hands it every batch" {
        let mut decoder = decoder::<It>().unwrap();
        (0..100).for_each(|_| assert_eq!(decode(&mut *decoder).unwrap().batch.rows, 3));
        assert_eq!(decoder.stats().offences(), 0);
        assert_eq!(decoder.export_state().unwrap().unwrap().bytes, 300_u64.to_le_bytes());
    }
    traps_on_every_third_call => "loses the third batch of it, and no other" {
        let mut sampler = sampler::<It>().unwrap();
        for _ in 0..2 {
            assert!(sampler.decide(&batch(1)).is_ok());
            assert!(sampler.decide(&batch(1)).is_ok());
            faults(sampler.decide(&batch(1)), FaultKind::Trap, "unreachable");
        }
        assert_eq!((sampler.stats().offences(), sampler.stats().faults(FaultKind::Trap)), (2, 2));
    }
    traps_in_decode => "leaves it alone for a while after the third trap in a row" {
        let mut decoder = decoder::<It>().unwrap();
        (0..3).for_each(|_| drop(faults(decode(&mut *decoder), FaultKind::Trap, "unreachable")));
        faults(decode(&mut *decoder), FaultKind::BackingOff, "after 3");
        assert_eq!(decoder.stats().health(), host_model::Health::BackingOff);
    }
    traps_in_enrich => "counts a trap for each batch" {
        let mut enricher = enricher::<It>().unwrap();
        faults(enricher.enrich(&batch(1)), FaultKind::Trap, "unreachable");
        assert_eq!(enricher.stats().faults(FaultKind::Trap), 1);
    }
    panics_with_a_message => "sees a trap, and lets none of the message through as it is" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Trap, "unreachable");
    }
    errors_with_escapes => "shortens the words, takes out what would move a cursor, and keeps the instance" {
        let with = |output_bytes| {
            let limits = host_plugin::Limits { output_bytes, memory_bytes: 64 << 20, ..crate::rig::limits() };
            crate::rig::sampler_with::<It>(host_plugin::Setup { limits, ..crate::rig::setup() }).unwrap()
        };
        // Ten megabytes of text exceed the maximum output.
        faults(with(1 << 20).decide(&batch(1)), FaultKind::Output, "`output_bytes`");
        let mut sampler = with(64 << 20);
        let fault = faults(sampler.decide(&batch(1)), FaultKind::Refused, "[31mnot today");
        assert!(fault.detail.len() < 1024, "{}", fault.detail.len());
        assert_eq!((sampler.stats().offences(), sampler.stats().faults(FaultKind::Refused)), (0, 1));
    }
    recurses_without_end => "ends it where its stack ends" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Trap, "");
    }
}
