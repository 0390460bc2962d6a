//! Failures while memories and tables are created and start functions run.

use std::time::{Duration, Instant};

use host_plugin::Step;

use crate::rig::{compile, refused, sampler};

conformance! {
    loops_at_start => "stops the start function at the deadline of `bind`" {
        let start = Instant::now();
        refused(sampler::<It>(), Step::Instantiate, "did not return within 500 ms", "endless loop");
        assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
    traps_at_start => "refuses the load" {
        refused(sampler::<It>(), Step::Instantiate, "unreachable", "bug of the plugin");
    }
    grows_its_table => "gives it no more elements than `table_elements`, and says so" {
        refused(sampler::<It>(), Step::Instantiate, "more than the 1000 elements of tables", "`table_elements`");
    }
    begins_with_a_huge_table => "makes no such table" {
        refused(sampler::<It>(), Step::Compile, "minimum element size of 100000000", "");
    }
    begins_with_four_gigabytes => "makes no such memory" {
        refused(sampler::<It>(), Step::Instantiate, "more than the 8 MiB of memory", "`memory_bytes`");
    }
    many_memories => "gives a component at most 16 memories" {
        refused(compile::<It>(), Step::Compile, "memor", "");
    }
    two_thousand_instances => "gives a component at most 1000 core instances" {
        refused(compile::<It>(), Step::Compile, "instance", "");
    }
    exports_nothing_of_the_role => "misses the functions of the role" {
        refused(sampler::<It>(), Step::Instantiate, "bind", "wit/v0.1");
    }
    an_export_of_another_shape => "names what differs from the contract" {
        refused(sampler::<It>(), Step::Instantiate, "min-duration", "wit/v0.1");
    }
}
