//! A guest of a toolchain that requires an operating system, and finds an empty one.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use host_model::{Enricher, Fault, FaultKind};
use host_plugin::{Component, Grants, Host, Limits, Need, Setup, need};

use crate::imports::{Lines, Noon};
use crate::{ENGINE, batch, build, schema};

static WORLDLY: LazyLock<Component> = LazyLock::new(|| Component::compile(&ENGINE, build::worldly(), "file").unwrap());
static ADAPTED: LazyLock<Component> = LazyLock::new(|| Component::compile(&ENGINE, build::adapted(), "file").unwrap());

fn asked(component: &Component, ask: &str, grants: &[&str]) -> Box<dyn Enricher> {
    let setup = Setup {
        config: format!("{{\"ask\": \"{ask}\"}}"),
        grants: Grants::parse(grants).unwrap(),
        host: Host { clock: Arc::new(Noon), ..Host::default() },
        ..Setup::default()
    };
    component.enricher(component.inspection().id("enricher.worldly", 1), &schema(), setup).unwrap()
}

fn answer(component: &Component, ask: &str, grants: &[&str]) -> String {
    asked(component, ask, grants).enrich(&batch(1)).unwrap()[0].as_string::<i32>().value(0).into()
}

fn fault(ask: &str) -> Fault {
    asked(&WORLDLY, ask, &[]).enrich(&batch(1)).unwrap_err()
}

#[test]
fn wasi_is_imported_takes_no_grant_and_is_shown() {
    let wasi: Vec<&String> = WORLDLY.inspection().imports.iter().filter(|name| name.starts_with("wasi:")).collect();
    assert!(wasi.len() >= 10, "{wasi:?}");
    assert!(wasi.iter().all(|name| need(name) == Ok(Need::Empty)));
    assert_eq!(answer(&WORLDLY, "nothing", &[]), "nothing was asked");
}

#[test]
fn there_is_no_environment_and_no_input() {
    assert_eq!(answer(&WORLDLY, "environment", &[]), "0 0");
    assert_eq!(answer(&WORLDLY, "read", &[]), "None");
}

#[test]
fn files_and_folders_are_not_there() {
    for ask in ["open", "list"] {
        let answer = answer(&WORLDLY, ask, &[]);
        assert!(answer.starts_with("Err("), "{ask}: {answer}");
    }
}

#[test]
fn a_socket_is_a_trap_that_names_the_function_and_the_next_call_works() {
    let mut enricher = asked(&WORLDLY, "connect", &[]);
    let trap = enricher.enrich(&batch(1)).unwrap_err();
    assert_eq!(trap.kind, FaultKind::Trap);
    assert!(trap.detail.contains("`wasi:sockets/"), "{trap}");
    assert!(trap.detail.contains("no plugin gets"), "{trap}");
}

#[test]
fn clocks_stand_until_they_are_granted() {
    assert_eq!(answer(&WORLDLY, "clock", &[]), "0");
    assert_eq!(answer(&WORLDLY, "elapsed", &[]), "true false");
    assert_eq!(answer(&WORLDLY, "clock", &["clock"]), "1200");
}

#[test]
fn hash_tables_work_and_are_the_same_in_every_instance() {
    let first = answer(&WORLDLY, "hash", &[]);
    assert!(first.starts_with("10 "), "{first}");
    assert_eq!(answer(&WORLDLY, "hash", &[]), first);
}

#[test]
fn a_guest_that_sleeps_is_woken_by_a_trap() {
    let start = Instant::now();
    let trap = fault("sleep");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(trap.kind, FaultKind::Trap);
    assert!(trap.detail.contains("a plugin cannot wait"), "{trap}");
}

#[test]
fn a_guest_that_exits_has_trapped() {
    let trap = fault("exit");
    assert_eq!(trap.kind, FaultKind::Trap);
    assert!(trap.detail.contains("a plugin has no end of its own"), "{trap}");
}

#[test]
fn the_message_of_a_panic_is_in_the_fault() {
    let trap = fault("panic");
    assert!(trap.detail.contains("the end of the world"), "{trap}");
}

#[test]
fn what_it_prints_is_in_the_log_line_by_line() {
    let text = Lines::of(|| drop(answer(&WORLDLY, "print", &[])));
    let line =
        |wanted: &str| text.lines().find(|line| line.contains(wanted)).unwrap_or_else(|| panic!("{wanted} is not in {text}"));
    assert!(line("bound").contains("worldly@1.2.3"), "{text}");
    assert!(line("one line").contains("INFO") && line("a warning").contains("WARN"), "{text}");
    assert!(line("without an end").contains("INFO"), "{text}");
    assert!(line("[2Janother").starts_with(|first: char| !first.is_whitespace()) && !text.contains('\x1b'), "{text}");
}

#[test]
fn what_it_prints_is_limited_as_the_log_is() {
    let text = Lines::of(|| drop(answer(&WORLDLY, "flood", &[])));
    let written = text.lines().filter(|line| line.contains(": line ")).count();
    let limit = Limits::default().log_lines_per_second as usize;
    assert!((1..=2 * limit).contains(&written), "{written}");
    assert!(text.contains("left out"), "{text}");
}

#[test]
fn writing_counts_as_calling_the_host() {
    let limits = Limits { host_calls: 100, ..Limits::default() };
    let setup = Setup { config: "{\"ask\": \"flood\"}".into(), limits, ..Setup::default() };
    let mut enricher = WORLDLY.enricher(WORLDLY.inspection().id("enricher.worldly", 1), &schema(), setup).unwrap();
    assert_eq!(enricher.enrich(&batch(1)).unwrap_err().kind, FaultKind::HostCalls);
}

#[test]
fn through_the_stub_adapter_a_module_of_preview_1_imports_the_contract_alone() {
    let imports = &ADAPTED.inspection().imports;
    assert!(imports.iter().all(|name| name.starts_with("probe:plugin/")), "{imports:?}");
    assert_eq!(answer(&ADAPTED, "environment", &[]), "0 0");
    assert_eq!(answer(&ADAPTED, "read", &[]), "None");
    assert!(answer(&ADAPTED, "open", &[]).starts_with("Err("));
    assert!(answer(&ADAPTED, "hash", &[]).starts_with("10 "));
    assert_eq!(answer(&ADAPTED, "elapsed", &[]), "true true");
    assert_eq!(answer(&ADAPTED, "sleep", &[]), "slept");
    assert_eq!(answer(&ADAPTED, "flood", &[]), "poured");
    let trap = asked(&ADAPTED, "exit", &[]).enrich(&batch(1)).unwrap_err();
    assert_eq!(trap.kind, FaultKind::Trap);
}
