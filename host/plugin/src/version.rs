//! Which versions of the contract this host speaks. A folder of `wit/` and a room here for each.

pub(crate) mod v0_1;

use crate::refusal::Refusal;

/// The package that the contract is.
pub(crate) const PACKAGE: &str = "probe:plugin/";

/// What this host speaks, as refusals say it.
pub const SPOKEN: &str = "0.1";

/// The name of an interface of the contract, without package and version: `sampler` for `probe:plugin/sampler@0.1.0`. None if
/// the name is of another package.
///
/// # Errors
/// The name is of a version that this host does not speak.
pub(crate) fn interface(name: &str) -> Result<Option<(&str, &str)>, Refusal> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    let spoken = version.strip_prefix(SPOKEN).is_some_and(|patch| patch.is_empty() || patch.starts_with('.'));
    if spoken { Ok(Some((interface, version))) } else { Err(Refusal::Contract { name: name.into() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_of_the_spoken_version_is_spoken() {
        assert_eq!(interface("probe:plugin/sampler@0.1.0"), Ok(Some(("sampler", "0.1.0"))));
        assert_eq!(interface("probe:plugin/sampler@0.1.7"), Ok(Some(("sampler", "0.1.7"))));
    }

    #[test]
    fn another_version_is_refused_and_another_package_is_not_ours() {
        assert!(interface("probe:plugin/sampler@0.9.0").is_err());
        assert!(interface("probe:plugin/sampler@0.10.0").is_err());
        assert!(interface("probe:plugin/sampler").is_err());
        assert_eq!(interface("wasi:cli/run@0.2.0"), Ok(None));
    }
}
