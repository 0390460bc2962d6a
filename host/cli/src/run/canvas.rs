//! The size of a frame of the live table.

/// The properties of the terminal that a frame is drawn for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Canvas {
    /// Width in columns.
    pub(super) width: usize,
    /// Height in lines.
    pub(super) height: usize,
    /// Whether colours are used.
    pub(super) coloured: bool,
}
