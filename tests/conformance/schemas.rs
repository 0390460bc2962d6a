//! Fields that a decoder may not declare, and an enricher may not add.

use host_model::FaultKind;
use host_plugin::Step;

use crate::rig::{decode, decoder, decoder_with, enricher, faults, granted, refused};

conformance! {
    duplicate_fields => "names the field" {
        refused(decoder::<It>(), Step::Bind, "two fields are named `time`", "wit/v0.1");
    }
    a_hundred_thousand_fields => "takes at most 256 fields" {
        refused(decoder::<It>(), Step::Bind, "", "");
    }
    a_thousand_metrics => "takes at most 64 metrics" {
        refused(decoder::<It>(), Step::Bind, "1000 metrics; at most 64 are allowed", "wit/v0.1");
    }
    no_time => "wants exactly one field of time" {
        refused(decoder::<It>(), Step::Bind, "0 fields are used as Time", "wit/v0.1");
    }
    measures_what_is_not_there => "names the metric" {
        refused(decoder::<It>(), Step::Bind, "metric `test.count` measures field 4294967295", "wit/v0.1");
    }
    counts_by_what_is_not_there => "names the metric" {
        refused(decoder::<It>(), Step::Bind, "metric `test.count` has a condition on field 4294967295", "wit/v0.1");
    }
    escapes_in_field_names => "takes names of a-z, 0-9, `.`, `_` and `-`" {
        refused(decoder::<It>(), Step::Bind, "is not a name", "wit/v0.1");
    }
    escapes_in_the_event => "takes names of a-z, 0-9, `.`, `_` and `-`" {
        refused(decoder::<It>(), Step::Bind, "is not a name", "wit/v0.1");
    }
    escapes_in_units_and_descriptions => "keeps the words without their control characters, and shortened" {
        let mut decoder = decoder::<It>().unwrap();
        let schema = decoder.schema().clone();
        let words = schema.fields.iter().map(|field| &field.unit).chain(schema.metrics.iter().map(|metric| &metric.description));
        for words in words {
            assert!(words.len() <= 300 && !words.chars().any(char::is_control), "{words:?}");
        }
        assert!(decode(&mut *decoder).is_ok());
    }
    schema_changes_when_rebuilt => "does not take an instance that answers `bind` differently than the one before" {
        let mut decoder = decoder_with::<It>(granted(&["clock"])).unwrap();
        let before = decoder.schema().clone();
        faults(decode(&mut *decoder), FaultKind::Trap, "unreachable");
        faults(decode(&mut *decoder), FaultKind::Contract, "answered `bind` differently");
        assert_eq!(decoder.schema(), &before);
    }
    replaces_a_field => "names the field" {
        refused(enricher::<It>(), Step::Bind, "used as Time; an enricher may add only plain and body", "wit/v0.1");
    }
    adds_a_time => "lets an enricher add plain fields and a body only" {
        refused(enricher::<It>(), Step::Bind, "`guest.time` is used as Time", "wit/v0.1");
    }
    adds_ten_thousand_fields => "takes at most 256 fields" {
        refused(enricher::<It>(), Step::Bind, "10001 fields; at most 256 are allowed", "wit/v0.1");
    }
}
