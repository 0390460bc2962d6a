//! Columns that break the contract. The instance lives on; the batch goes on without them.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use host_model::{FaultKind, Run};
use host_tests::guests::conformance::Guest;

use crate::rig::{batch, decode, decoder, enricher, faults, records};

/// Checks a decoder whose answer breaks the contract, in `decode` and in `complete`, and whose instance lives on.
#[track_caller]
fn breaks<G: Guest>(words: &str) {
    let mut decoder = decoder::<G>().unwrap();
    faults(decode(&mut *decoder), FaultKind::Contract, words);
    assert_eq!(decoder.stats().faults(FaultKind::Contract), 1);
    // The count is still there: the instance was not replaced.
    assert_eq!(decoder.export_state().unwrap().unwrap().bytes, 3_u64.to_le_bytes());
}

conformance! {
    miscounts_its_rows => "compares every column with the number of rows" {
        breaks::<It>("column `time` has 3 values, there are 4 rows");
    }
    returns_a_column_too_few => "wants as many columns as it asked for" {
        breaks::<It>("6 columns where 7 were asked for");
    }
    returns_a_column_too_many => "wants as many columns as it asked for" {
        breaks::<It>("8 columns where 7 were asked for");
    }
    returns_ten_thousand_columns => "wants as many columns as it asked for" {
        breaks::<It>("10000 columns where 7 were asked for");
    }
    returns_another_type => "compares the type of every column with the schema" {
        breaks::<It>("column `time` is of type U32, its field says U64");
    }
    offsets_run_backwards => "checks that offsets never fall" {
        breaks::<It>("the offsets of column `test.path` fall");
    }
    offsets_pass_the_end => "compares the last offset with the bytes there are" {
        breaks::<It>("the last offset of column `test.path`");
    }
    offsets_start_late => "wants 0 as the first offset" {
        breaks::<It>("the first offset of column `test.path` is 1");
    }
    offsets_are_huge => "compares the last offset with the bytes there are, as unsigned numbers" {
        breaks::<It>("the last offset of column `test.path` is 4294967295");
    }
    offsets_are_missing => "wants an offset more than there are rows" {
        breaks::<It>("column `test.path` has 0 offsets for 3 rows");
    }
    splits_a_character => "wants UTF-8 in every single value" {
        breaks::<It>("a value of column `test.path` is not UTF-8");
    }
    is_not_utf8 => "wants UTF-8 in every single value" {
        breaks::<It>("a value of column `test.path` is not UTF-8");
    }
    boolean_of_two => "takes 0 and 1" {
        breaks::<It>("a value of column `test.flag` is neither 0 nor 1");
    }
    undecodable_beyond_the_run => "takes only records of the run" {
        breaks::<It>("not among the 3 of the run");
    }
    undecodable_falls => "wants the list to rise" {
        breaks::<It>("`undecodable` does not rise");
    }
    not_a_number => "takes every float there is" {
        let decoded = decode(&mut *decoder::<It>().unwrap()).unwrap();
        let scores = decoded.batch.column(5).unwrap().as_primitive::<Float64Type>().values().to_vec();
        assert!(scores[0].is_nan() && scores[1] == f64::INFINITY && scores[2] == f64::NEG_INFINITY, "{scores:?}");
    }
    extreme_integers => "takes every integer there is" {
        let mut decoder = decoder::<It>().unwrap();
        let decoded = decode(&mut *decoder).unwrap();
        assert_eq!(decoded.batch.column(0).unwrap().as_primitive::<UInt64Type>().values(), &[u64::MAX; 3]);
        assert_eq!(decoded.batch.column(6).unwrap().as_primitive::<Int64Type>().values(), &[i64::MIN; 3]);
        let bytes = records(3);
        decoder.decode(Run::parse(&bytes).unwrap(), &[]).unwrap();
        assert_eq!(decoder.complete(&[1], &[1]).unwrap()[0].as_primitive::<UInt64Type>().values(), &[u64::MAX]);
    }
    notes_of_another_length => "wants a value for each row" {
        let mut enricher = enricher::<It>().unwrap();
        faults(enricher.enrich(&batch(3)), FaultKind::Contract, "column `guest.note` has 7 offsets for 3 rows");
        assert_eq!(enricher.enrich(&batch(0)).unwrap()[0].len(), 0);
    }
}
