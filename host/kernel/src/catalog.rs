//! The probes in the binary, as an explicit list.

/// A built-in probe.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Name of the probe, of its folder, its path and its decoder.
    pub name: &'static str,
    /// What it traces, in one line.
    pub about: &'static str,
    /// The compiled object.
    pub object: &'static [u8],
}

const ABOUT: [(&str, &str); 4] = [
    ("exec", "programs executed and processes ended"),
    ("file", "files opened: path, flags, latency, error"),
    ("l7", "payload of TCP and UDP sockets: what requests and answers are made of"),
    ("tcp", "TCP connections, from the first SYN to the close"),
];

/// Every built-in probe, in order of name.
#[must_use]
pub fn catalog() -> Vec<BuiltIn> {
    ABOUT
        .iter()
        .filter_map(|&(name, about)| {
            let object = bpf::PROBES.iter().find(|object| object.name == name)?;
            Some(BuiltIn { name, about, object: object.bytes })
        })
        .collect()
}

/// Returns the built-in probe of this name.
#[must_use]
pub fn find(name: &str) -> Option<BuiltIn> {
    catalog().into_iter().find(|probe| probe.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_object_is_in_the_catalog() {
        let names: Vec<_> = catalog().iter().map(|probe| probe.name).collect();
        let compiled: Vec<_> = bpf::PROBES.iter().map(|object| object.name).collect();
        assert_eq!(names, compiled);
    }
}
