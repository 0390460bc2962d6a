//! Loads that fail: each error has the step, the problem, and the cure.

use host_model::{Layout, Role};
use host_plugin::{Component, Deadlines, Engine, Grants, Inspection, Limits, PluginError, Refusal, Setup, Step, inspect};
use std::time::{Duration, Instant};

use crate::build::{core, curious as curious_bytes, faulty as faulty_bytes, patched};
use crate::{ENGINE, curious, decoder, enricher, faulty, granted, layout, sampler, schema, told};

/// Returns the error of a load, which must be printable and name the plugin.
#[track_caller]
fn refused<T>(result: Result<T, PluginError>, step: Step, problem: &str, cure: &str) -> PluginError {
    let Err(error) = result else { panic!("the load did not fail") };
    assert_eq!(error.step, step, "{error}");
    assert!(error.problem.contains(problem), "{error}");
    assert!(error.cure.contains(cure), "{}", error.cure);
    let text = format!("{error} {}", error.cure);
    assert!(!text.chars().any(char::is_control), "{text:?}");
    error
}

fn compile(bytes: &[u8]) -> Result<Component, PluginError> {
    Component::compile(&ENGINE, bytes, "given")
}

fn ask(words: &[&str]) -> Result<Box<dyn host_model::Enricher>, PluginError> {
    curious().enricher(curious().inspection().id("enricher.curious", 1), &schema(), granted(words))
}

#[test]
fn an_empty_file_is_refused() {
    refused(compile(b""), Step::Inspect, "empty", "build the plugin again");
}

#[test]
fn a_core_module_is_refused() {
    refused(compile(&core("faulty")), Step::Inspect, "core WebAssembly module", "wasm-tools component new");
}

#[test]
fn a_truncated_file_is_refused_wherever_it_was_cut() {
    let whole = faulty_bytes();
    for length in (1..whole.len()).step_by(whole.len() / 97) {
        let error = compile(&whole[..length]).unwrap_err();
        assert!(matches!(error.step, Step::Inspect | Step::Compile), "at {length}: {error}");
    }
    refused(compile(&whole[..whole.len() / 2]), Step::Inspect, "ends early or is damaged at byte", "SHA-256");
}

#[test]
fn bytes_that_were_flipped_never_panic() {
    let whole = faulty_bytes();
    for at in (0..whole.len()).step_by(whole.len() / 211) {
        let mut damaged = whole.to_vec();
        damaged[at] ^= 0x55;
        // Compiling all of them would take minutes and tests only wasmtime.
        let _: Result<Inspection, Refusal> = inspect(&damaged);
    }
}

#[test]
fn an_unknown_contract_version_is_refused() {
    let bytes = patched(faulty_bytes(), "@0.1.0", "@0.9.0");
    let error = refused(compile(&bytes), Step::Inspect, "@0.9.0", "wit/v0.1");
    assert!(error.problem.contains("speaks probe:plugin 0.1"), "{error}");
    let bytes = patched(faulty_bytes(), "probe:plugin/log@0.1.0", "probe:plugin/log@0.9.0");
    refused(compile(&bytes), Step::Inspect, "probe:plugin/log@0.9.0", "wit/v0.1");
}

#[test]
fn a_later_patch_of_the_contract_is_taken() {
    let component = compile(&patched(faulty_bytes(), "@0.1.0", "@0.1.7")).unwrap();
    assert_eq!(component.inspection().contract, "0.1.7");
    let mut sampler = component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default()).unwrap();
    assert!(sampler.decide(&crate::batch(3)).is_ok());
}

#[test]
fn a_component_without_a_known_role_is_refused() {
    let bytes = patched(curious_bytes(), "probe:plugin/enricher", "probe:plugin/polisher");
    let error = refused(compile(&bytes), Step::Inspect, "no known role", "export `decoder`, `sampler` or `enricher`");
    assert!(error.problem.contains("probe:plugin/polisher@0.1.0"), "{error}");
}

#[test]
fn a_component_in_a_slot_of_another_role_is_refused() {
    let sampler = curious().sampler(curious().inspection().id("sampler", 1), &schema(), Setup::default());
    let error = refused(sampler, Step::Inspect, "its role is not sampler", "slot of its own role");
    assert!(error.plugin.starts_with("curious@1.2.3"), "{error}");
    assert_eq!(curious().inspection().roles, [Role::Enricher]);
}

#[test]
fn an_import_that_is_not_granted_is_refused_with_the_words_that_grant_it() {
    refused(ask(&[]), Step::Grant, "probe:plugin/maps@0.1.0", "`maps:NAME`, `tables`, `clock`");
    refused(ask(&["maps:conns"]), Step::Grant, "probe:plugin/tables@0.1.0", "`tables`");
    refused(ask(&["maps:conns", "tables"]), Step::Grant, "probe:plugin/clock@0.1.0", "`clock`");
    assert!(ask(&["maps:conns", "tables", "clock"]).is_ok());
}

#[test]
fn a_wasi_of_another_version_is_refused_with_what_to_do() {
    let bytes = patched(curious_bytes(), "probe:plugin/clock@0.1.0", "wasi:random/random@0.3.0");
    let component = compile(&bytes).unwrap();
    let setup = granted(&["tables", "maps:a", "clock"]);
    let enricher = component.enricher(component.inspection().id("enricher.x", 1), &schema(), setup);
    refused(enricher, Step::Grant, "wasi:random/random@0.3.0", "stub adapter");
}

#[test]
fn an_import_that_no_host_offers_is_refused_whatever_is_granted() {
    let bytes = patched(curious_bytes(), "probe:plugin/clock@0.1.0", "some:package/other@0.2.0");
    let refusal = Grants::parse(&["tables", "maps:a", "clock"]).unwrap().check(&inspect(&bytes).unwrap()).unwrap_err();
    assert_eq!(refusal, Refusal::UnknownImport("some:package/other@0.2.0".into()));
    assert!(refusal.cure().contains("wit/v0.1/host.wit"), "{}", refusal.cure());
}

#[test]
fn an_export_of_another_shape_is_refused() {
    // Renames a field to one that the contract does not have: the types no longer match.
    let bytes = patched(faulty_bytes(), "min-duration-ns", "min-duration-xx");
    let component = compile(&bytes).unwrap();
    let sampler = component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default());
    refused(sampler, Step::Instantiate, "min-duration", "wit/v0.1");
}

#[test]
fn a_record_of_another_shape_is_refused_by_the_name_of_the_member() {
    let error = refused(decoder(told("expect-time-elsewhere")), Step::Expects, "`test_record.time`", "record.h");
    assert!(error.problem.contains("offset 0") && error.problem.contains("offset 8"), "{error}");
}

#[test]
fn an_error_of_bind_is_shown_without_its_control_characters() {
    refused(sampler(told("refuse")), Step::Bind, "`ratio` must be between 0 and 1", "`config`");
    let other = Layout { name: "other_record".into(), ..layout() };
    let decoder = faulty().decoder(faulty().inspection().id("decoder.other", 1), "other", &other, Setup::default());
    refused(decoder, Step::Bind, "struct `other_record` is not read", "`config`");
}

#[test]
fn a_configuration_that_is_no_object_is_refused() {
    let setup = Setup { config: "[1]".into(), ..Setup::default() };
    refused(sampler(setup), Step::Bind, "not a JSON object", "{\"key\": value}");
}

#[test]
fn a_trap_in_bind_is_refused() {
    let error = refused(sampler(told("trap-in-bind")), Step::Bind, "unreachable", "bug of the plugin");
    assert!(error.problem.contains("bind"), "the function is named: {error}");
}

#[test]
fn an_endless_loop_in_bind_is_stopped_at_its_deadline() {
    let limits =
        Limits { deadlines: Deadlines { bind: Duration::from_millis(200), ..Deadlines::default() }, ..Limits::default() };
    let start = Instant::now();
    let bound = sampler(Setup { limits, ..told("loop-in-bind") });
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    refused(bound, Step::Bind, "did not return within 200 ms", "endless loop");
}

#[test]
fn memory_over_the_cap_is_refused_in_bind_and_at_birth() {
    let limits = |memory_bytes| Limits { memory_bytes, ..Limits::default() };
    let bound = sampler(Setup { limits: limits(8 << 20), ..told("hoard-in-bind") });
    refused(bound, Step::Bind, "more than the 8 MiB of memory", "`memory_bytes`");
    let born = sampler(Setup { limits: limits(64 << 10), ..Setup::default() });
    refused(born, Step::Instantiate, "more than the 0.0625 MiB of memory", "`memory_bytes`");
}

#[test]
fn a_host_that_is_full_says_so_and_has_room_again_when_one_is_dropped() {
    let engine = Engine::new().unwrap();
    let component = Component::compile(&engine, faulty_bytes(), "given").unwrap();
    let bind = || component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default());
    let mut live = Vec::new();
    let full = loop {
        match bind() {
            Ok(sampler) => live.push(sampler),
            Err(full) => break full,
        }
    };
    assert!(live.len() >= 100, "{}", live.len());
    refused::<()>(Err(full), Step::Instantiate, "limit", "unload a plugin");
    live.pop();
    assert!(bind().is_ok());
}

#[test]
fn a_schema_that_breaks_the_contract_is_refused() {
    refused(decoder(told("no-time")), Step::Bind, "Time", "wit/v0.1");
    refused(decoder(told("many-metrics")), Step::Bind, "1000 metrics", "wit/v0.1");
    refused(enricher(told("replace-a-field")), Step::Bind, "two fields are named `time`", "wit/v0.1");
    refused(sampler(told("want-what-is-not-there")), Step::Bind, "field 999 is wanted", "wit/v0.1");
}
