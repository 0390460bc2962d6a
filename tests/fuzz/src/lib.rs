//! Arbitrary bytes against all code of the host that reads untrusted input.
//!
//! A target is a function of bytes that panics when a check fails: not only that nothing crashes, but also that accepted values are true.
//! `make test` gives each its stored corpus and some thousand mutations of it, `make fuzz` gives each to libFuzzer, which looks for inputs
//! that reach new code.

#![forbid(unsafe_code)]

pub mod component_inspection;
pub mod config;
pub mod control_request;
pub mod guest_output;
pub mod record_framing;

mod draw;
pub mod mutation;

/// One of the targets.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name of its module, of its program and of its folder in `corpus/`.
    pub name: &'static str,
    /// The function, which panics if a check fails for these bytes.
    pub check: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "component_inspection", check: component_inspection::check },
    Target { name: "record_framing", check: record_framing::check },
    Target { name: "guest_output", check: guest_output::check },
    Target { name: "config", check: config::check },
    Target { name: "control_request", check: control_request::check },
];

/// Whether this text may reach a terminal: it has no control characters, and none that change the direction of the text after it.
fn is_printable(text: &str) -> bool {
    !text.chars().any(|letter| letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}
