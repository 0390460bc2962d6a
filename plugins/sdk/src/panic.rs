//! What a plugin says before it ends.

/// From now on the message of a panic goes to the host's log, and from there into the fault that follows: a component has no
/// other place for it.
pub(crate) fn to_the_log() {
    #[cfg(target_family = "wasm")]
    std::panic::set_hook(Box::new(|panic| {
        use crate::wit::log::{Level, write};
        write(Level::Error, &panic.to_string());
    }));
}
