//! `wit/v0.1`: the generated bindings, and conversions of its types.

pub(crate) mod nouns;

pub(crate) use generated::{exports, probe};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::indexing_slicing, reason = "generated from wit/v0.1")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        // Every import and every role at once; which of them a component has is read from its bytes.
        inline: "
            package host:plugin;
            world everything {
                include probe:plugin/imports@0.1.0;
                export probe:plugin/decoder@0.1.0;
                export probe:plugin/protocol@0.1.0;
                export probe:plugin/sampler@0.1.0;
                export probe:plugin/enricher@0.1.0;
                export probe:plugin/handover@0.1.0;
            }
        ",
        world: "host:plugin/everything",
        // Every import may return an error, so that a call beyond the limit ends the guest's call.
        imports: { default: trappable },
        // Arguments are slices of the host's own buffers: one copy, straight into the sandbox.
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
