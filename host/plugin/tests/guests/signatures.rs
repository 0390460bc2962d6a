//! Components with signatures of their makers.

use host_plugin::signature::{PrivateKey, sign, verify};
use host_plugin::{Component, Setup, Step, inspect};

use crate::{ENGINE, batch, build, schema};

#[test]
fn a_signed_component_says_who_signed_it_and_runs() {
    let key = PrivateKey::generate().unwrap();
    let signed = sign(build::faulty(), &key).unwrap();
    assert_eq!(inspect(build::faulty()).unwrap().signer, None);
    let component = Component::compile(&ENGINE, &signed, "file").unwrap();
    assert_eq!(component.inspection().signer, Some(key.public()));
    assert_ne!(component.inspection().digest, inspect(build::faulty()).unwrap().digest);
    let mut sampler = component.sampler(component.inspection().id("sampler", 1), &schema(), Setup::default()).unwrap();
    assert_eq!(sampler.decide(&batch(3)).unwrap().thresholds.len(), 3);
}

#[test]
fn a_component_of_another_toolchain_can_be_signed() {
    let key = PrivateKey::generate().unwrap();
    for component in [build::worldly(), build::adapted()] {
        assert_eq!(verify(&sign(component, &key).unwrap()), Ok(Some(key.public())));
    }
}

#[test]
fn a_component_that_was_changed_after_signing_is_refused() {
    let signed = sign(build::faulty(), &PrivateKey::generate().unwrap()).unwrap();
    let tampered = build::patched(&signed, "faulty\x001.2.3", "faulty\x001.2.4");
    let error = Component::compile(&ENGINE, &tampered, "file").unwrap_err();
    assert_eq!(error.step, Step::Inspect);
    assert!(error.problem.contains("changed after signing"), "{error}");
    assert!(error.cure.contains("from its maker"), "{error:?}");
}

#[test]
fn a_module_is_not_signed() {
    assert!(sign(&build::core("faulty"), &PrivateKey::generate().unwrap()).is_err());
}
