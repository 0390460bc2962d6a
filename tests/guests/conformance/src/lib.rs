//! The parts of every conformance guest: a good plugin of all roles, and a macro by which a guest overrides one function
//! to misbehave. A guest is a file of `examples/`, and reads as its behaviour.

mod bad;
mod behaviour;
mod export;
mod good;

#[allow(clippy::all)]
pub mod wit {
    wit_bindgen::generate!({
        path: "../../../wit/v0.1",
        inline: "
            package guest:conformance;
            world everything {
                include probe:plugin/imports@0.1.0;
                export probe:plugin/decoder@0.1.0;
                export probe:plugin/sampler@0.1.0;
                export probe:plugin/enricher@0.1.0;
                export probe:plugin/handover@0.1.0;
            }
        ",
        world: "guest:conformance/everything",
        runtime_path: "::conformance::wit_bindgen::rt",
        default_bindings_module: "::conformance::wit",
        pub_export_macro: true,
        generate_all,
    });
}

#[doc(hidden)]
pub use wit_bindgen;

pub use bad::{forever, hoard, nth, recurse, trap};
pub use behaviour::Behaviour;
pub use good::{decode, field, fields, good, numbers, texts};

pub use wit::exports::probe::plugin::decoder::Decoded;
pub use wit::exports::probe::plugin::enricher::Binding;
pub use wit::exports::probe::plugin::handover::State;
pub use wit::exports::probe::plugin::sampler::{Decisions, KernelPlan, Rule, Stats, Subject};
pub use wit::probe::plugin::columns::{Column, ColumnType, Values};
pub use wit::probe::plugin::layout::{Member, MemberKind, RecordLayout};
pub use wit::probe::plugin::log::Level;
pub use wit::probe::plugin::schema::{Condition, EventSchema, Field, FieldUse, Instrument, Metric, Sensitivity, Signal};
pub use wit::probe::plugin::{clock, config, log, maps, tables};

extern crate self as conformance;

/// Makes a component of functions that override those of [`Behaviour`]. Its name is that of its file, or the given one.
#[macro_export]
macro_rules! guest {
    (named $name:literal; $($function:item)*) => { $crate::guest! { @$name; $($function)* } };
    (@$name:expr; $($function:item)*) => {
        #[allow(unused_imports)]
        use $crate::*;

        struct Guest;

        impl $crate::Behaviour for Guest {
            $($function)*
        }

        const IDENTITY: &str = concat!($name, "\0", env!("CARGO_PKG_VERSION"));

        #[unsafe(link_section = "probe:plugin")]
        #[used]
        static SECTION: [u8; IDENTITY.len()] = *IDENTITY.as_bytes().first_chunk().unwrap();

        $crate::wit::export!(Guest with_types_in $crate::wit);
    };
    ($($function:item)*) => { $crate::guest! { @env!("CARGO_CRATE_NAME"); $($function)* } };
}
