//! Encodes a filter as `bpf/include/filter.h` reads it: constants of the object, set before it is loaded.

use host_model::Filter;

use crate::cgroup;
use crate::error::KernelError;

/// The section that holds `struct filter_conditions`.
pub(crate) const SECTION: &str = ".rodata.filter";
/// Size of `struct filter_conditions`.
pub(crate) const SIZE: usize = 40;
/// `TASK_COMM_LEN`.
pub(crate) const COMM: usize = 16;

/// Encodes `struct filter_conditions`.
pub(crate) fn conditions(filter: &Filter, excluded_pid: Option<u32>) -> Result<Vec<u8>, KernelError> {
    let level = filter.cgroup.map_or(Ok(0), cgroup::level)?;
    let comm = filter.comm.as_deref().map(comm).transpose()?;
    let mut bytes = Vec::with_capacity(SIZE);
    bytes.extend(filter.cgroup.unwrap_or(0).to_ne_bytes());
    for word in [level, filter.pid.unwrap_or(0), excluded_pid.unwrap_or(0), u32::from(comm.is_some())] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(comm.unwrap_or_default());
    Ok(bytes)
}

fn comm(name: &str) -> Result<[u8; COMM], KernelError> {
    padded(name).ok_or_else(|| KernelError::Filter(format!("{name:?} is not a command name: 1 to 15 bytes without NUL")))
}

/// Returns a command name NUL-padded, as a task has it; None if it is too long.
pub(crate) fn padded(name: &str) -> Option<[u8; COMM]> {
    let mut bytes = [0; COMM];
    if name.is_empty() || name.contains('\0') {
        return None;
    }
    bytes.get_mut(..COMM - 1)?.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_laid_out_as_the_header_says() {
        let filter = Filter { pid: Some(7), cgroup: None, comm: Some("cat".into()) };
        let bytes = conditions(&filter, Some(9)).unwrap();
        assert_eq!(bytes.len(), SIZE);
        assert_eq!(bytes[12..16], 7_u32.to_ne_bytes());
        assert_eq!(bytes[16..20], 9_u32.to_ne_bytes());
        assert_eq!(bytes[20..24], 1_u32.to_ne_bytes());
        assert_eq!(&bytes[24..28], b"cat\0");
    }

    #[test]
    fn a_comm_that_no_task_can_have_is_refused() {
        assert!(padded("fifteen-bytes-x").is_some());
        assert!(comm("sixteen-bytes-xx").is_err());
        assert!(comm("").is_err());
    }
}
