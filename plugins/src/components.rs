//! The plugins as components.

/// The bytes of a plugin.
pub type Code = &'static [u8];

/// One component.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The name of the plugin, of its folder and of its crate.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

macro_rules! component {
    ($name:literal) => {
        Component { name: $name, bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")) }
    };
}

/// All components, in the order of the path.
pub static COMPONENTS: &[Component] = &[
    component!("decoder-exec"),
    component!("decoder-file"),
    component!("decoder-tcp"),
    component!("decoder-btf"),
    component!("decoder-http"),
    component!("decoder-http2"),
    component!("decoder-redis"),
    component!("decoder-memcached"),
    component!("decoder-dns"),
    component!("decoder-postgresql"),
    component!("decoder-mysql"),
    component!("sampler-ratio"),
    component!("sampler-rate"),
    component!("enricher-process"),
];

/// Returns the SHA-256 of all code in this binary: none, as it holds components.
#[must_use]
pub const fn digests() -> &'static [[u8; 32]] {
    &[]
}

/// Returns the code with this SHA-256: always None.
#[must_use]
pub const fn code(_digest: [u8; 32]) -> Option<Code> {
    None
}

// === impl Component ===

impl Component {
    /// Returns the component, which serves hosts with an interpreter and with machine code.
    #[must_use]
    #[allow(clippy::unnecessary_wraps, reason = "what is packed may not be there")]
    pub const fn code(&self, _interpreted: bool) -> Option<Code> {
        Some(self.bytes)
    }
}
