//! Encodes the settings of payload capture as `bpf/l7/l7.bpf.h` reads them: ports are set before the object is loaded, the rest at any
//! time.

use crate::error::KernelError;

/// The section that holds `struct l7_ports`.
pub(crate) const PORTS: &str = ".rodata.l7";
/// The section that holds `struct l7_settings`.
pub(crate) const SETTINGS: &str = ".data.l7";
/// `L7_PORTS_MAX`.
const PORTS_MAX: usize = 64;
/// `L7_CAPTURE_MAX`.
const CAPTURE_MAX: u32 = 4096;

/// Encodes `struct l7_ports`.
pub(crate) fn ports(probe: &str, ports: &[u16]) -> Result<Vec<u8>, KernelError> {
    if ports.len() > PORTS_MAX {
        let reason = format!("{} ports; at most {PORTS_MAX} can be asked for", ports.len());
        return Err(KernelError::Option { probe: probe.into(), option: "ports", reason });
    }
    let count = u32::try_from(ports.len()).unwrap_or_default();
    let mut bytes: Vec<u8> = count.to_ne_bytes().into_iter().chain(ports.iter().flat_map(|port| port.to_ne_bytes())).collect();
    bytes.resize(size_of::<u32>() + PORTS_MAX * size_of::<u16>(), 0);
    Ok(bytes)
}

/// Encodes the initial `struct l7_settings`.
pub(crate) fn settings(probe: &str, capture_bytes: u32) -> Result<Vec<u8>, KernelError> {
    if capture_bytes > CAPTURE_MAX {
        let reason = format!("{capture_bytes} bytes; at most {CAPTURE_MAX} of a call can be captured");
        return Err(KernelError::Option { probe: probe.into(), option: "capture_bytes", reason });
    }
    let epoch = 0_u32;
    Ok(capture_bytes.to_ne_bytes().into_iter().chain(epoch.to_ne_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_laid_out_as_the_header_says() {
        let bytes = ports("l7", &[80, 6379]).unwrap();
        assert_eq!((bytes.len(), &bytes[..4]), (132, 2_u32.to_ne_bytes().as_slice()));
        assert_eq!(bytes[4..8], [80_u16.to_ne_bytes(), 6379_u16.to_ne_bytes()].concat());
        assert!(ports("l7", &[1; 65]).is_err() && settings("l7", 4097).is_err());
    }
}
