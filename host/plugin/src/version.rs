//! The versions of the contract, and of WASI, that this host supports. Each has a folder in `wit/` and a file here.

pub(crate) mod v0_1;

use crate::refusal::Refusal;

/// Name of the contract's package.
pub(crate) const PACKAGE: &str = "probe:plugin/";

/// Version of the contract that this host supports, as refusals name it.
pub const SPOKEN: &str = "0.1";

/// Returns name and version of an interface of the contract: `sampler` and `0.1.0` for `probe:plugin/sampler@0.1.0`. None if the name is of
/// another package.
///
/// # Errors
/// The name has a version that this host does not support.
pub(crate) fn interface(name: &str) -> Result<Option<(&str, &str)>, Refusal> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    let spoken = version.strip_prefix(SPOKEN).is_some_and(|patch| patch.is_empty() || patch.starts_with('.'));
    if spoken { Ok(Some((interface, version))) } else { Err(Refusal::Contract { name: name.into(), speaks: SPOKEN }) }
}

/// Whether a name is of WASI, in the version that this host supports.
///
/// # Errors
/// The name is of another version of WASI.
pub(crate) fn is_wasi(import: &str) -> Result<bool, Refusal> {
    if !import.starts_with("wasi:") {
        return Ok(false);
    }
    match import.split_once('@') {
        Some((_, version)) if version.starts_with("0.2.") && !version.contains('-') => Ok(true),
        _ => Err(Refusal::Wasi(import.into())),
    }
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

    #[test]
    fn every_patch_of_wasi_0_2_is_answered_and_no_other_version_is() {
        assert_eq!(is_wasi("wasi:cli/stdout@0.2.0"), Ok(true));
        assert_eq!(is_wasi("wasi:http/types@0.2.12"), Ok(true));
        assert_eq!(is_wasi("probe:plugin/log@0.1.0"), Ok(false));
        for other in
            ["wasi:cli/stdout@0.3.0", "wasi:cli/stdout@0.2.0-rc-2023-11-10", "wasi:cli/stdout", "wasi:cli/stdout@0.20.0"]
        {
            assert_eq!(is_wasi(other), Err(Refusal::Wasi(other.into())));
        }
    }
}
