//! The contract as Rust types: the output of `wit_bindgen` for `wit/v0.1`, one module per role, the shared types once.

#![allow(missing_docs, unreachable_pub, unsafe_code, reason = "generated from wit/v0.1, where the documentation is")]
#![allow(clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "generated")]

/// The decoder's world. The types and imports that all roles share live here.
pub mod decoder {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "probe:plugin/decoder-plugin",
        runtime_path: "::plugin_sdk::wit_bindgen::rt",
        default_bindings_module: "::plugin_sdk::wit::decoder",
        pub_export_macro: true,
        additional_derives: [PartialEq],
        generate_all,
    });
}

/// The sampler's world.
pub mod sampler {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "probe:plugin/sampler-plugin",
        runtime_path: "::plugin_sdk::wit_bindgen::rt",
        default_bindings_module: "::plugin_sdk::wit::sampler",
        pub_export_macro: true,
        additional_derives: [PartialEq],
        with: {
            "probe:plugin/columns@0.1.0": super::decoder::probe::plugin::columns,
            "probe:plugin/schema@0.1.0": super::decoder::probe::plugin::schema,
            "probe:plugin/log@0.1.0": super::decoder::probe::plugin::log,
            "probe:plugin/config@0.1.0": super::decoder::probe::plugin::config,
            "probe:plugin/maps@0.1.0": super::decoder::probe::plugin::maps,
            "probe:plugin/tables@0.1.0": super::decoder::probe::plugin::tables,
            "probe:plugin/clock@0.1.0": super::decoder::probe::plugin::clock,
            "probe:plugin/random@0.1.0": super::decoder::probe::plugin::random,
        },
        generate_all,
    });
}

/// The enricher's world.
pub mod enricher {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "probe:plugin/enricher-plugin",
        runtime_path: "::plugin_sdk::wit_bindgen::rt",
        default_bindings_module: "::plugin_sdk::wit::enricher",
        pub_export_macro: true,
        additional_derives: [PartialEq],
        with: {
            "probe:plugin/columns@0.1.0": super::decoder::probe::plugin::columns,
            "probe:plugin/schema@0.1.0": super::decoder::probe::plugin::schema,
            "probe:plugin/log@0.1.0": super::decoder::probe::plugin::log,
            "probe:plugin/config@0.1.0": super::decoder::probe::plugin::config,
            "probe:plugin/maps@0.1.0": super::decoder::probe::plugin::maps,
            "probe:plugin/tables@0.1.0": super::decoder::probe::plugin::tables,
            "probe:plugin/clock@0.1.0": super::decoder::probe::plugin::clock,
            "probe:plugin/random@0.1.0": super::decoder::probe::plugin::random,
        },
        generate_all,
    });
}

/// The world of plugins that hand their state over.
pub mod stateful {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "probe:plugin/stateful",
        runtime_path: "::plugin_sdk::wit_bindgen::rt",
        default_bindings_module: "::plugin_sdk::wit::stateful",
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

/// The world of decoders of a protocol, beside the decoder's own.
pub mod conversant {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "probe:plugin/conversant",
        runtime_path: "::plugin_sdk::wit_bindgen::rt",
        default_bindings_module: "::plugin_sdk::wit::conversant",
        pub_export_macro: true,
        additional_derives: [PartialEq],
        with: { "probe:plugin/columns@0.1.0": super::decoder::probe::plugin::columns },
        generate_all,
    });
}

/// The imports that the host offers. They exist in a component only: called natively, they panic.
pub use decoder::probe::plugin::{clock, log, maps, random, tables};

pub use decoder::exports::probe::plugin::decoder::Decoded;
pub use decoder::probe::plugin::columns::{Column, ColumnType, Values};
pub use decoder::probe::plugin::layout::{Member, MemberKind, RecordLayout};
pub use decoder::probe::plugin::schema::{Condition, EventSchema, Field, FieldUse, Instrument, Metric, Sensitivity, Signal};
pub use enricher::exports::probe::plugin::enricher::Binding;
pub use sampler::exports::probe::plugin::sampler::{Decisions, KernelPlan, Rule, Stats, Subject};
pub use stateful::exports::probe::plugin::handover::State;
