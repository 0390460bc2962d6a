//! Outputs without a collector: one JSON object or one readable line per row.

pub(crate) mod console;

pub(crate) mod jsonl;

pub(crate) mod time;

pub(crate) mod writer;

use std::io::Write;

use crate::columns::Columns;
use crate::otlp::span::Row;
use crate::plan::Plan;
pub use console::ConsoleStyle;

/// The output of rows as lines. Beside a collector it is a view, whose rows are not counted; without one it is where rows are delivered.
pub enum Output {
    /// No output.
    None,
    /// One JSON object per line.
    Jsonl(Box<dyn Write + Send>),
    /// One readable line per row.
    Console(Box<dyn Write + Send>, ConsoleStyle),
}

/// The format of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Jsonl,
    Console(ConsoleStyle),
}

// === impl Output ===

impl Output {
    /// Returns the format and the writer; None without an output.
    pub(crate) fn open(self) -> Option<(Format, Box<dyn Write + Send>)> {
        match self {
            Self::None => None,
            Self::Jsonl(writer) => Some((Format::Jsonl, writer)),
            Self::Console(writer, style) => Some((Format::Console(style), writer)),
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Jsonl(_) => "Jsonl",
            Self::Console(..) => "Console",
        })
    }
}

// === impl Format ===

impl Format {
    /// Appends the line of one row.
    pub(crate) fn encode(self, buf: &mut Vec<u8>, path: &str, plan: &Plan, columns: &Columns<'_>, row: &Row) {
        match self {
            Self::Jsonl => jsonl::encode(buf, path, plan, columns, row),
            Self::Console(style) => console::encode(buf, style, plan, columns, row),
        }
    }
}
