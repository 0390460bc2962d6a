//! One readable line per row, cut to the width of the terminal: time, name, duration, whether it failed, and the attributes.

use crate::columns::{Columns, Value};
use crate::lines::time;
use crate::otlp::span::Row;
use crate::plan::Plan;
use host_model::text::shown;

/// Default width of a line, in terminal columns.
const WIDTH: u16 = 120;
/// Minimum width: a shorter line holds too little.
const NARROWEST: u16 = 80;

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

/// The style of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleStyle {
    /// Whether the terminal shows colours.
    pub colour: bool,
    /// Width of a line, in terminal columns.
    pub width: u16,
}

/// A line with the number of terminal columns left.
struct Line<'a> {
    buf: &'a mut Vec<u8>,
    style: ConsoleStyle,
    left: usize,
}

// === impl ConsoleStyle ===

impl ConsoleStyle {
    /// Returns the style for a terminal or a file; `NO_COLOR`, `TERM` and `COLUMNS` are read through `variable`.
    #[must_use]
    pub fn detect(is_terminal: bool, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let colour = is_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb");
        let width = set("COLUMNS").and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH);
        Self { colour, width: width.max(NARROWEST) }
    }
}

/// Appends the line of one row.
pub(crate) fn encode(buf: &mut Vec<u8>, style: ConsoleStyle, plan: &Plan, columns: &Columns<'_>, row: &Row) {
    let mut line = Line { buf, style, left: usize::from(style.width) };
    line.coloured(DIM, |line| {
        let start = line.buf.len();
        time::write_clock(line.buf, row.unix_ns);
        line.left = line.left.saturating_sub(line.buf.len() - start);
    });
    line.text(" ");
    line.coloured(BOLD, |line| line.padded(plan.name_of(columns, row.index), 12));
    if let Some(duration) = plan.duration.map(|field| columns.number(field, row.index)) {
        line.text(" ");
        line.text(&format!("{:>8}", duration_text(duration)));
    }
    if plan.failed(columns, row.index) {
        line.text(" ");
        let error = plan.error.filter(|field| !plan.withheld.contains(field));
        line.coloured(RED, |line| line.padded(error.map_or(b"failed", |field| columns.text(field, row.index)), 0));
    }
    if let Some(field) = plan.body {
        line.text(" ");
        line.padded(columns.text(field, row.index), 0);
    }
    for attribute in &plan.attributes {
        if line.left == 0 {
            break;
        }
        let Some(value) = attribute.value(columns, row.index).filter(|_| Some(attribute.field) != plan.error) else { continue };
        line.text(" ");
        line.coloured(DIM, |line| {
            line.text(&attribute.name);
            line.text("=");
        });
        match value {
            Value::Bool(value) => line.text(if value { "true" } else { "false" }),
            Value::Unsigned(value) => line.text(&value.to_string()),
            Value::Signed(value) => line.text(&value.to_string()),
            Value::Float(value) => line.text(&value.to_string()),
            Value::Text(value) => line.padded(value, 0),
            Value::Bytes(value) => line.text(&format!("<{} bytes>", value.len())),
        }
    }
    line.buf.push(b'\n');
}

fn duration_text(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{:.1}us", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", ns as f64 / 1e6),
        _ => format!("{:.2}s", ns as f64 / 1e9),
    }
}

// === impl Line ===

impl Line<'_> {
    /// Appends as much as fits, without characters that could steer the terminal. The last column of a cut line shows that it was cut.
    fn text(&mut self, text: &str) {
        let mut characters = text.chars().map(shown).peekable();
        while let Some(character) = characters.next() {
            match self.left {
                0 => return,
                1 if characters.peek().is_some() => self.push('…'),
                _ => self.push(character),
            }
        }
    }

    fn push(&mut self, character: char) {
        self.buf.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        self.left -= 1;
    }

    fn padded(&mut self, text: &[u8], width: usize) {
        let before = self.left;
        self.text(&String::from_utf8_lossy(text));
        while before - self.left < width && self.left > 0 {
            self.push(' ');
        }
    }

    fn coloured(&mut self, colour: &str, write: impl FnOnce(&mut Self)) {
        if !self.style.colour {
            return write(self);
        }
        self.buf.extend_from_slice(colour.as_bytes());
        write(self);
        self.buf.extend_from_slice(RESET.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(width: u16, write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut buf = Vec::new();
        let style = ConsoleStyle { colour: false, width };
        write(&mut Line { buf: &mut buf, style, left: usize::from(width) });
        String::from_utf8(buf).unwrap()
    }

    #[test]
    fn a_line_is_never_wider_than_the_terminal_and_says_that_it_was_cut() {
        assert_eq!(line(5, |line| line.text("abcdefgh")), "abcd…");
        assert_eq!(line(5, |line| line.text("abcde")), "abcde");
    }

    #[test]
    fn a_path_cannot_steer_the_terminal() {
        assert_eq!(line(80, |line| line.padded(b"/tmp/\x1b[2Jx\n\xffy", 0)), "/tmp/\u{fffd}[2Jx \u{fffd}y");
    }

    #[test]
    fn colours_need_a_terminal_and_nobody_against_them() {
        let set = |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.to_owned());
        assert!(ConsoleStyle::detect(true, &|_| None).colour);
        assert!(!ConsoleStyle::detect(false, &|_| None).colour);
        assert!(!ConsoleStyle::detect(true, &set("NO_COLOR", "1")).colour);
        assert!(ConsoleStyle::detect(true, &set("NO_COLOR", "")).colour);
        assert!(!ConsoleStyle::detect(true, &set("TERM", "dumb")).colour);
        assert_eq!(ConsoleStyle::detect(true, &set("COLUMNS", "100")).width, 100);
    }
}
