//! Compiled plugins: which of them run, with which grants, and on which machines.

use std::sync::LazyLock;

use host_plugin::signature::{PrivateKey, sign};
use host_plugin::{Component, Engine, Execution, Grants, PluginError, Setup, Step, compile_for, inspect};

use crate::{ENGINE, batch, build, schema};

#[cfg(target_arch = "x86_64")]
const HERE: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
const HERE: &str = "aarch64-unknown-linux-gnu";
const INTERPRETER: &str = "pulley64";

static INTERPRETING: LazyLock<Engine> = LazyLock::new(|| Engine::with(Execution::Interpreted, 16).unwrap());

fn compiled(target: &str) -> Vec<u8> {
    compile_for(build::faulty(), "file", target).unwrap()
}

/// Loads with the grant `native-code`.
fn load(engine: &Engine, bytes: &[u8]) -> Result<Component, PluginError> {
    Component::load(engine, bytes, "file", &Grants::parse(&["native-code"]).unwrap())
}

/// Loads a plugin that must be refused, and returns the error.
fn refused(engine: &Engine, bytes: &[u8]) -> PluginError {
    load(engine, bytes).err().unwrap()
}

fn thresholds(component: &Component) -> Vec<u64> {
    let mut sampler = component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default()).unwrap();
    sampler.decide(&batch(100)).unwrap().thresholds
}

#[test]
fn what_was_compiled_elsewhere_does_what_the_component_does_interpreted_or_not() {
    let expected = thresholds(&Component::compile(&ENGINE, build::faulty(), "file").unwrap());
    assert_eq!(thresholds(&load(&ENGINE, &compiled(HERE)).unwrap()), expected);
    assert_eq!(thresholds(&load(&INTERPRETING, &compiled(INTERPRETER)).unwrap()), expected);
    assert_eq!(thresholds(&Component::compile(&INTERPRETING, build::faulty(), "file").unwrap()), expected);
}

#[test]
fn it_says_of_itself_what_its_component_said_and_what_it_is_for() {
    let (component, plugin) = (inspect(build::faulty()).unwrap(), inspect(&compiled(HERE)).unwrap());
    assert_eq!((&plugin.name, &plugin.version, &plugin.contract), (&component.name, &component.version, &component.contract));
    assert_eq!((&plugin.roles, &plugin.imports, &plugin.exports), (&component.roles, &component.imports, &component.exports));
    assert_eq!(plugin.handover, component.handover);
    assert_ne!(plugin.digest, component.digest);
    let of = plugin.compiled.unwrap();
    assert_eq!((of.target.as_str(), of.source), (HERE, component.digest.to_string()));
}

#[test]
fn nothing_of_it_is_run_for_an_operator_who_does_not_answer_for_it() {
    let error = Component::load(&ENGINE, &compiled(HERE), "file", &Grants::parse(&["clock", "tables"]).unwrap()).err().unwrap();
    assert_eq!(error.step, Step::Grant);
    assert!(error.cure.contains("native-code"), "{error:?}");
    assert_eq!(Component::compile(&ENGINE, &compiled(HERE), "file").err().unwrap().step, Step::Compile);
}

#[test]
fn code_for_another_target_is_refused_with_the_target_it_must_have() {
    for (engine, target, wanted) in [
        (&*ENGINE, INTERPRETER, HERE),
        (&*INTERPRETING, HERE, INTERPRETER),
        (&*ENGINE, if HERE.starts_with('x') { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" }, HERE),
    ] {
        let error = refused(engine, &compiled(target));
        assert_eq!(error.step, Step::Compile);
        assert!(error.problem.contains(target) && error.cure.contains(&format!("--target {wanted} ")), "{error:?}");
    }
}

#[test]
fn a_signature_holds_for_the_code_and_one_bit_anywhere_breaks_it() {
    let key = PrivateKey::generate().unwrap();
    let signed = sign(&compiled(HERE), &key).unwrap();
    assert_eq!(load(&ENGINE, &signed).unwrap().inspection().signer, Some(key.public()));
    for part in 1..16 {
        let mut tampered = signed.clone();
        let place = tampered.len() * part / 16;
        tampered[place] ^= 1;
        assert_eq!(inspect(&tampered).map(|inspection| inspection.signer).ok(), None, "byte {place}");
        assert_eq!(refused(&ENGINE, &tampered).step, Step::Inspect);
    }
}

#[test]
fn what_is_cut_or_no_compiled_plugin_is_refused() {
    let plugin = compiled(HERE);
    for cut in [9, 40, plugin.len() / 2, plugin.len() - 1] {
        assert_eq!(refused(&ENGINE, &plugin[..cut]).step, Step::Inspect, "cut at {cut}");
    }
    assert!(refused(&ENGINE, build::faulty()).problem.contains("this is a component"));
    // A label without code, which is the last section.
    let label_end = plugin.windows(10).position(|name| name == b"probe:code").unwrap();
    let start = plugin[..label_end].iter().rposition(|&byte| byte == b'}').unwrap() + 1;
    assert!(refused(&ENGINE, &plugin[..start]).problem.contains("probe:code"));
    let again = compile_for(&plugin, "file", HERE).unwrap_err();
    assert!(again.step == Step::Inspect && again.problem.contains("compiled already"), "{again:?}");
}

#[test]
fn the_same_component_becomes_the_same_bytes() {
    assert_eq!(compiled(HERE), compiled(HERE));
}
