//! The same policy in every available language: its decisions follow one table, it is limited, and it is swapped while events flow.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop at the first wrong answer")]

mod swaps;
mod table;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use host_model::{Digest, FaultKind, PluginId, Sampler};
use host_plugin::{Component, Engine, PluginError, Setup};
use polyglot::policies;
use table::{CONFIG, TABLE, batch, schema};

/// Returns each available policy, compiled once for all tests: an interpreter takes seconds.
fn components() -> Vec<(&'static str, Component)> {
    static COMPILED: LazyLock<Vec<(&str, Component)>> = LazyLock::new(|| {
        let engine = Engine::new().unwrap();
        let compiled = |(language, bytes): (_, Vec<u8>)| (language, Component::compile(&engine, &bytes, language).unwrap());
        policies().into_iter().map(compiled).collect()
    });
    COMPILED.clone()
}

fn bind(component: &Component, config: &str) -> Result<Box<dyn Sampler>, PluginError> {
    let id = PluginId {
        slot: "sampler".into(),
        name: "policy".into(),
        version: "0.1.0".into(),
        digest: Digest([0; 32]),
        generation: 1,
    };
    component.sampler(id, &schema(), Setup { config: config.into(), ..Setup::default() })
}

#[test]
fn every_language_decides_by_the_table() {
    for (language, component) in components() {
        let mut sampler = bind(&component, CONFIG).unwrap();
        assert_eq!(sampler.wanted(), [3, 2, 1], "{language}: duration, error, process");
        for rows in [1, TABLE.len(), 1024] {
            let decisions = sampler.decide(&batch(rows)).unwrap();
            let expected = || TABLE.iter().cycle().take(rows);
            assert!(expected().map(|row| row.threshold).eq(decisions.thresholds), "{language}, {rows} rows: thresholds");
            assert!(expected().map(|row| row.randomness).eq(decisions.randomness), "{language}, {rows} rows: randomness");
        }
        assert!(sampler.decide(&batch(0)).unwrap().randomness.is_empty(), "{language}: no rows");
    }
}

#[test]
fn every_language_keeps_one_row_in_so_many_of_those_that_are_fine() {
    for (language, component) in components() {
        for (config, threshold) in
            [(r#"{"one_in": 1}"#, 0), ("{}", 0xe6_6666_6700_0000), (r#"{"one_in": 4294967295}"#, 0xff_ffff_ff00_0000)]
        {
            let decisions = bind(&component, config).unwrap().decide(&batch(1)).unwrap();
            assert_eq!(decisions.thresholds, [threshold], "{language}: {config}");
        }
    }
}

#[test]
fn every_language_asks_for_nothing_that_must_be_granted() {
    for (language, component) in components() {
        let imports = &component.inspection().imports;
        let free = |import: &&String| ["probe:plugin/config@0.1.0", "probe:plugin/log@0.1.0"].contains(&import.as_str());
        assert_eq!(imports.iter().filter(|import| !free(import)).count(), 0, "{language}: {imports:?}");
    }
}

#[test]
fn every_language_refuses_what_it_cannot_do_and_says_why() {
    for (language, component) in components() {
        let refusal = bind(&component, r#"{"one_in": 0}"#).err().unwrap_or_else(|| panic!("{language} takes one in 0"));
        assert!(refusal.problem.contains("`one_in` is 0; it may be 1 to 4294967295"), "{language}: {refusal}");
    }
}

#[test]
fn every_language_is_ended_at_its_deadline_and_works_again() {
    for (language, component) in components() {
        let mut sampler = bind(&component, r#"{"spin": true}"#).unwrap();
        let start = Instant::now();
        let fault = sampler.decide(&batch(8)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Deadline, "{language}: {fault}");
        // A deadline counts the time of the call; a machine with other work needs more.
        assert!(start.elapsed() < Duration::from_secs(10), "{language}: {:?}", start.elapsed());
        assert!(bind(&component, CONFIG).unwrap().decide(&batch(8)).is_ok(), "{language}: another instance is not harmed");
    }
}
