//! Why a message, or a name in it, is not read.

/// Why a message is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Its question goes beyond the bytes.
    Short,
    /// This is no message.
    Bad,
}
