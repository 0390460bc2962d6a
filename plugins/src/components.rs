//! The plugins as components.

/// The bytes of a plugin.
pub type Code = &'static [u8];

/// One component.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The name of the plugin: its folder and its crate.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

macro_rules! component {
    ($name:literal) => {
        Component { name: $name, bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")) }
    };
}

/// All of them, in the order in which an event meets them.
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

/// The SHA-256 of all code that is in this binary: none, these are components.
#[must_use]
pub const fn digests() -> &'static [[u8; 32]] {
    &[]
}

/// The code of this SHA-256: there is none.
#[must_use]
pub const fn code(_digest: [u8; 32]) -> Option<Code> {
    None
}

// === impl Component ===

impl Component {
    /// What a host runs that has an interpreter instead of machine code, or has not: the component is for both.
    #[must_use]
    #[allow(clippy::unnecessary_wraps, reason = "what is packed may not be there")]
    pub const fn code(&self, _interpreted: bool) -> Option<Code> {
        Some(self.bytes)
    }
}
