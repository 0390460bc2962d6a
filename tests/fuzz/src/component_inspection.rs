//! The bytes of a component, before any of its code runs.

use host_plugin::{Grants, inspect};

use crate::is_printable;

/// Checks that a refusal has a reason and a cure; that an accepted component is bounded and printable.
///
/// # Panics
/// The check fails.
pub fn check(data: &[u8]) {
    let inspection = match inspect(data) {
        Ok(inspection) => inspection,
        Err(refusal) => {
            assert!(is_printable(&refusal.to_string()), "{refusal:?}");
            assert!(!refusal.cure().is_empty(), "{refusal:?}");
            return;
        }
    };
    assert!(!inspection.roles.is_empty());
    for text in inspection.imports.iter().chain(&inspection.exports).chain([&inspection.name, &inspection.version]) {
        assert!(is_printable(text) && text.len() <= 1024, "{text:?}");
    }
    assert!(inspection.imports.len() <= 10_000 && inspection.exports.len() <= 10_000);
    if let Err(refusal) = Grants::default().check(&inspection) {
        assert!(is_printable(&refusal.to_string()), "{refusal:?}");
        assert!(!refusal.cure().is_empty(), "{refusal:?}");
    }
}
