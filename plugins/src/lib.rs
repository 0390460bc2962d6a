//! The plugins that come with the host, as components inside the binary.

#![forbid(unsafe_code)]

/// One component.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The name of the plugin: its folder and its crate.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// All of them, in the order in which an event meets them.
pub static COMPONENTS: &[Component] = &[
    Component { name: "decoder-exec", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-exec.wasm")) },
    Component { name: "decoder-file", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-file.wasm")) },
    Component { name: "decoder-tcp", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-tcp.wasm")) },
    Component { name: "decoder-btf", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-btf.wasm")) },
    Component { name: "decoder-http", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-http.wasm")) },
    Component { name: "decoder-http2", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-http2.wasm")) },
    Component { name: "decoder-redis", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-redis.wasm")) },
    Component { name: "decoder-memcached", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-memcached.wasm")) },
    Component { name: "decoder-dns", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-dns.wasm")) },
    Component { name: "decoder-postgresql", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-postgresql.wasm")) },
    Component { name: "decoder-mysql", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/decoder-mysql.wasm")) },
    Component { name: "sampler-ratio", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/sampler-ratio.wasm")) },
    Component { name: "sampler-rate", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/sampler-rate.wasm")) },
    Component { name: "enricher-process", bytes: include_bytes!(concat!(env!("OUT_DIR"), "/enricher-process.wasm")) },
];

/// The component of this name.
#[must_use]
pub fn component(name: &str) -> Option<&'static Component> {
    COMPONENTS.iter().find(|component| component.name == name)
}
