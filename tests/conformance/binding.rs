//! Forbidden results of `expects` and `bind`.

use std::time::{Duration, Instant};

use host_plugin::Step;

use crate::rig::{decoder, enricher, refused, sampler};

conformance! {
    loops_in_expects => "stops it at the deadline of `bind`" {
        let start = Instant::now();
        refused(decoder::<It>(), Step::Expects, "did not return within 500 ms", "endless loop");
        assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
    loops_in_bind => "stops it at the deadline of `bind`" {
        let start = Instant::now();
        refused(sampler::<It>(), Step::Bind, "did not return within 500 ms", "endless loop");
        assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
    traps_in_bind => "refuses the load in every role, and names the function" {
        refused(decoder::<It>(), Step::Bind, "unreachable", "bug of the plugin");
        refused(sampler::<It>(), Step::Bind, "unreachable", "bug of the plugin");
        refused(enricher::<It>(), Step::Bind, "unreachable", "bug of the plugin");
    }
    hoards_in_bind => "gives it no more memory than `memory_bytes`" {
        refused(sampler::<It>(), Step::Bind, "more than the 8 MiB of memory", "`memory_bytes`");
    }
    refuses_with_escapes => "shows its words without control characters" {
        refused(sampler::<It>(), Step::Bind, "\u{fffd}[31m`ratio` is\u{fffd} wrong", "`config`");
    }
    expects_another_record => "names both records, without control characters" {
        refused(decoder::<It>(), Step::Expects, "it reads `struct \u{fffd}[31mred`, the probe writes `struct test_record`", "record.h");
    }
    wants_what_is_not_there => "names the field and how many there are" {
        refused(sampler::<It>(), Step::Bind, "field 4294967295 is wanted, but the schema has 1 field", "wit/v0.1");
    }
    wants_a_field_twice => "names the field" {
        refused(sampler::<It>(), Step::Bind, "field 0 is wanted twice", "wit/v0.1");
    }
    wants_a_million_fields => "takes no list that is longer than what a call may return" {
        refused(sampler::<It>(), Step::Bind, "output", "");
    }
}
