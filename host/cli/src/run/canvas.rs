//! The room that a frame of the live table has.

/// What a frame is drawn for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Canvas {
    /// Columns.
    pub(super) width: usize,
    /// Lines.
    pub(super) height: usize,
    /// Whether colours are wanted.
    pub(super) coloured: bool,
}
