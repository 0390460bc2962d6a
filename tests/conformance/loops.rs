//! Calls that do not return.

use host_model::{Run, State, Stats};

use crate::rig::{batch, decode, decoder, enricher, late, records, sampler};

conformance! {
    loops_in_decode => "stops it at the deadline of `decode`, and builds it again for the next run" {
        let mut decoder = decoder::<It>().unwrap();
        late(|| decode(&mut *decoder));
        late(|| decode(&mut *decoder));
    }
    loops_in_complete => "stops it at the deadline of `decode`; the next run is decoded" {
        let mut decoder = decoder::<It>().unwrap();
        let bytes = records(3);
        decoder.decode(Run::parse(&bytes).unwrap(), &[0]).unwrap();
        late(|| decoder.complete(&[0, 2], &[3]));
        assert_eq!(decode(&mut *decoder).unwrap().batch.rows, 3);
    }
    loops_in_decide => "stops it at the deadline of `decide`" {
        let mut sampler = sampler::<It>().unwrap();
        late(|| sampler.decide(&batch(3)));
    }
    loops_in_tune => "stops it at the deadline of `tune`; the next batch is decided on" {
        let mut sampler = sampler::<It>().unwrap();
        late(|| sampler.tune(&Stats::default()));
        assert!(sampler.decide(&batch(3)).is_ok());
    }
    loops_in_enrich => "stops it at the deadline of `enrich`" {
        let mut enricher = enricher::<It>().unwrap();
        late(|| enricher.enrich(&batch(3)));
    }
    loops_in_export_state => "stops it at the deadline of `handover`; its successor starts cold" {
        let mut sampler = sampler::<It>().unwrap();
        late(|| sampler.export_state());
    }
    loops_in_import_state => "stops it at the deadline of `handover`; it starts cold and works" {
        let mut sampler = sampler::<It>().unwrap();
        late(|| sampler.import_state(&State { version: 1, bytes: vec![0; 8] }));
        assert!(sampler.decide(&batch(3)).is_ok());
    }
}
