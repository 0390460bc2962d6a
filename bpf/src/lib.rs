//! The BPF objects of the built-in probes, for the target architecture.
//!
//! `build.rs` compiles them; the host's `host-kernel` loads them. Their sources and hooks: `bpf/README.md`.

#![forbid(unsafe_code)]

/// A compiled BPF object.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    /// The probe's name: its folder, its record (`<name>_record`) and its decoder (`decoder-<name>`).
    pub name: &'static str,
    /// The ELF file, aligned to 8 bytes as libbpf requires.
    pub bytes: &'static [u8],
}

/// Every built-in probe.
pub static PROBES: &[Object] = &[
    Object { name: "exec", bytes: &EXEC.bytes },
    Object { name: "file", bytes: &FILE.bytes },
    Object { name: "l7", bytes: &L7.bytes },
    Object { name: "tcp", bytes: &TCP.bytes },
];

#[repr(C)]
struct Aligned<T: ?Sized> {
    _alignment: [u64; 0],
    bytes: T,
}

macro_rules! object {
    ($probe:literal) => {
        Aligned { _alignment: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/", $probe)) }
    };
}

#[cfg(target_arch = "x86_64")]
static EXEC: &Aligned<[u8]> = &object!("exec.x86_64.bpf.o");
#[cfg(target_arch = "x86_64")]
static FILE: &Aligned<[u8]> = &object!("file.x86_64.bpf.o");
#[cfg(target_arch = "x86_64")]
static L7: &Aligned<[u8]> = &object!("l7.x86_64.bpf.o");
#[cfg(target_arch = "x86_64")]
static TCP: &Aligned<[u8]> = &object!("tcp.x86_64.bpf.o");

#[cfg(target_arch = "aarch64")]
static EXEC: &Aligned<[u8]> = &object!("exec.aarch64.bpf.o");
#[cfg(target_arch = "aarch64")]
static FILE: &Aligned<[u8]> = &object!("file.aarch64.bpf.o");
#[cfg(target_arch = "aarch64")]
static L7: &Aligned<[u8]> = &object!("l7.aarch64.bpf.o");
#[cfg(target_arch = "aarch64")]
static TCP: &Aligned<[u8]> = &object!("tcp.aarch64.bpf.o");

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the probes are built for x86_64 and aarch64 only");

#[cfg(test)]
mod tests {
    use super::PROBES;

    #[test]
    fn objects_are_aligned_bpf_programs_with_btf() {
        for object in PROBES {
            assert_eq!(object.bytes.as_ptr().align_offset(8), 0, "{}", object.name);
            assert_eq!(&object.bytes[..4], b"\x7fELF", "{}", object.name);
            assert_eq!(object.bytes[18], 247, "{}: EM_BPF", object.name);
            let record = format!("\0{}_record\0", object.name);
            assert!(object.bytes.windows(record.len()).any(|bytes| bytes == record.as_bytes()), "{record:?} is not in its BTF");
        }
    }
}
