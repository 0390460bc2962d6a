//! Reports a plugin's panic.

/// Sends the message of each later panic to the host's log, and from there into the fault that follows: a component has no other way to
/// report it.
pub(crate) fn to_the_log() {
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| {
        use crate::wit::log::{Level, write};
        write(Level::Error, &panic.to_string());
    }));
}
