//! Limits of the result of a call.

use host_model::{FaultKind, Run};

use crate::rig::{batch, decode, decoder, decoder_with, enricher, faults, records, sampler, setup};

conformance! {
    claims_four_gigabytes => "copies none of it" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Contract, "out of bounds");
    }
    claims_bytes_behind_its_memory => "reads nothing behind its memory" {
        let mut sampler = sampler::<It>().unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Contract, "out of bounds");
    }
    returns_more_than_it_may => "copies no more than `output_bytes`" {
        let roomy = host_plugin::Limits { memory_bytes: 64 << 20, ..crate::rig::limits() };
        let mut sampler = crate::rig::sampler_with::<It>(host_plugin::Setup { limits: roomy, ..setup() }).unwrap();
        faults(sampler.decide(&batch(1)), FaultKind::Output, "`output_bytes`");
    }
    returns_a_text_of_many_megabytes => "has not the memory for it in the sandbox, nor the output" {
        let mut enricher = enricher::<It>().unwrap();
        faults(enricher.enrich(&batch(1)), FaultKind::Trap, "more than the 8 MiB of memory");
    }
    claims_every_row_there_could_be => "makes no rows without columns beyond `output_rows`" {
        let mut decoder = decoder::<It>().unwrap();
        let bytes = records(3);
        faults(decoder.decode(Run::parse(&bytes).unwrap(), &[]), FaultKind::Output, "4294967295 rows");
    }
    makes_rows_of_nothing => "takes as many rows as it makes, up to `output_rows`" {
        let mut decoder = decoder::<It>().unwrap();
        assert_eq!(decode(&mut *decoder).unwrap().batch.rows, 9);
        let few = host_plugin::Limits { output_rows: 8, ..crate::rig::limits() };
        let mut decoder = decoder_with::<It>(host_plugin::Setup { limits: few, ..setup() }).unwrap();
        faults(decode(&mut *decoder), FaultKind::Output, "9 rows");
    }
}
