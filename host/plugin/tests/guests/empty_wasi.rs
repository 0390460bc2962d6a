//! The edges of an empty WASI: components whose start function makes calls that a standard library would not.

use host_plugin::{Component, PluginError, Setup, Step};

use crate::{ENGINE, schema};

/// Starts a component that claims to be a sampler, and never becomes one: its start function ends it, or it lacks all functions.
fn start(imports: &str, module: &str) -> PluginError {
    let text = format!(
        r#"(component {imports}
            (core module $module {module})
            (core instance (instantiate $module (with "host" (instance (export "call" (func $call))))))
            (instance $nothing)
            (export "probe:plugin/sampler@0.1.0" (instance $nothing)))"#
    );
    let component = Component::compile(&ENGINE, &wat::parse_str(text).unwrap(), "edge").unwrap();
    let refused = component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default()).err().unwrap();
    assert_eq!(refused.step, Step::Instantiate);
    refused
}

fn stdout(version: &str) -> String {
    format!(
        r#"(import "wasi:io/streams@{version}" (instance $streams (export "output-stream" (type (sub resource)))))
        (alias export $streams "output-stream" (type $stream))
        (import "wasi:cli/stdout@{version}" (instance $stdout
            (export "output-stream" (type $of-stdout (eq $stream)))
            (export "get-stdout" (func (result (own $of-stdout))))))
        (core func $call (canon lower (func $stdout "get-stdout")))"#
    )
}

/// A start function that makes this many calls, and keeps all results.
fn hoard(times: u32) -> String {
    format!(
        r#"(import "host" "call" (func $call (result i32)))
        (global $left (mut i32) (i32.const {times}))
        (func $start
            (loop $again
                (drop (call $call))
                (global.set $left (i32.sub (global.get $left) (i32.const 1)))
                (br_if $again (global.get $left))))
        (start $start)"#
    )
}

#[test]
fn resources_are_not_hoarded() {
    let few = start(&stdout("0.2.0"), &hoard(200));
    assert!(!few.problem.contains("resources"), "{few}");
    let many = start(&stdout("0.2.0"), &hoard(300));
    assert!(many.problem.contains("more than 256 resources at once"), "{many}");
}

#[test]
fn a_later_patch_of_wasi_links() {
    let later = start(&stdout("0.2.99"), &hoard(300));
    assert!(later.problem.contains("more than 256 resources at once"), "{later}");
}

#[test]
fn a_function_that_is_not_answered_is_named_when_it_is_called() {
    let imports = r#"(import "wasi:sockets/network@0.2.3" (instance $network (export "network" (type (sub resource)))))
        (alias export $network "network" (type $handle))
        (import "wasi:sockets/instance-network@0.2.3" (instance $instance
            (export "network" (type $of-instance (eq $handle)))
            (export "instance-network" (func (result (own $of-instance))))))
        (core func $call (canon lower (func $instance "instance-network")))"#;
    let refused = start(imports, &hoard(1));
    assert!(refused.problem.contains("`wasi:sockets/instance-network` `instance-network`"), "{refused}");
}

#[test]
fn an_interface_that_nobody_has_heard_of_links_as_long_as_it_is_of_wasi() {
    let imports = r#"(import "wasi:weather/today@0.2.0" (instance $today (export "rain" (func (result bool)))))
        (core func $call (canon lower (func $today "rain")))"#;
    let refused = start(imports, &hoard(1));
    assert!(refused.problem.contains("`wasi:weather/today` `rain`"), "{refused}");
}

#[test]
fn a_function_that_an_answered_interface_does_not_have_is_refused() {
    let imports = r#"(import "wasi:cli/environment@0.2.0" (instance $environment (export "get-secrets" (func (result bool)))))
        (core func $call (canon lower (func $environment "get-secrets")))"#;
    let refused = start(imports, &hoard(1));
    assert!(refused.problem.contains("get-secrets"), "{refused}");
}

#[test]
fn asking_again_and_again_ends_with_the_cap_on_calls_of_the_host() {
    let imports = r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "resolution" (func (result u64)))))
        (core func $call (canon lower (func $clock "resolution")))"#;
    let module = hoard(20_000).replace("(result i32)", "(result i64)");
    let refused = start(imports, &module);
    assert!(refused.problem.contains("more than 10000 times"), "{refused}");
}
