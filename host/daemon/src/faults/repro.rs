//! A repro: a failed call, stored on disk with all the data needed to make it fail again.
//!
//! ```text
//! <state_dir>/repro/components/<digest>.wasm    each component once
//! <state_dir>/repro/<id>/repro.json             who, where, with which configuration, limits and grants: a `Repro`
//! <state_dir>/repro/<id>/run.bin                what a decoder was given: a run of records, or
//! <state_dir>/repro/<id>/batch.arrow            what a sampler or an enricher was given: columns, as an Arrow IPC stream
//! ```
//!
//! A batch holds what programs did and sent: the folders are readable by the daemon's user alone (0700, files 0600), and bounded in number
//! and bytes.

mod batch;
pub(crate) mod writer;
mod run;
mod store;

pub use run::{engine, run};
pub use store::Store;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use host_api::{BoundTo, Repro, ReproSummary};
    use host_model::{Fallback, FaultKind, Role, Schema};

    use crate::plugins::limits::to_slot_limits;

    /// A repro of a sampler.
    pub(super) fn repro() -> Repro {
        let schema = Schema { event: "e".into(), signal: host_model::Signal::Log, fields: Vec::new(), metrics: Vec::new() };
        let summary = ReproSummary {
            id: "1767225600000-sampler-file-trap".into(),
            unix_ms: 1_767_225_600_000,
            name: "sampler-x".into(),
            version: "0.1.0".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            slot: "sampler".into(),
            generation: 2,
            role: Role::Sampler,
            probe: "file".into(),
            step: "decide".into(),
            kind: FaultKind::Trap,
            detail: "unreachable".into(),
            rows: 7,
            bytes: 0,
            folder: PathBuf::new(),
        };
        Repro {
            summary,
            config: serde_json::Map::new(),
            limits: to_slot_limits(&host_plugin::Limits::default()),
            grants: Vec::new(),
            fallback: Fallback::Pass,
            bound_to: BoundTo::Schema(schema),
            fields: Vec::new(),
        }
    }

    #[test]
    fn a_description_is_read_as_it_was_written() {
        let text = serde_json::to_string(&repro()).unwrap();
        assert_eq!(serde_json::from_str::<Repro>(&text).unwrap(), repro());
        assert!(text.contains("\"kind\":\"trap\"") && text.contains("\"role\":\"sampler\""), "{text}");
    }
}
