//! Data to standard output: aligned columns for people, JSON for programs.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::exit::{Done, Failure};
use crate::printable::printable;

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Names and text.
    Left,
    /// Numbers.
    Right,
}

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Done {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Writes one JSON document to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Done {
    print(&json(value)?)
}

/// Formats one JSON document, with a newline.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(crate::exit::Code::Failed, format!("cannot write JSON: {error}")))?;
    Ok(text + "\n")
}

/// Formats one JSON document as a single line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::new(crate::exit::Code::Failed, format!("cannot write JSON: {error}")))?;
    Ok(text + "\n")
}

/// Formats rows under headings, two spaces apart. A row is one line, so that tools can search it.
pub(crate) fn columns(headings: &[(&str, Align)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.iter().map(|(heading, _)| *heading));
    for (column, (_, align)) in table.column_iter_mut().zip(headings) {
        column.set_padding((0, 2));
        if *align == Align::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Formats labels and their values, a line each; further lines of a value are aligned below the first.
pub(crate) fn sheet<'a>(lines: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let lines: Vec<_> = lines.into_iter().collect();
    let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or_default() + 2;
    let mut text = String::new();
    for (label, value) in &lines {
        let mut label = *label;
        for line in value.lines() {
            text.push_str(format!("{label:<width$}{}", printable(line)).trim_end());
            text.push('\n');
            label = "";
        }
    }
    text
}

/// Formats `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number in at most five characters and a unit: `950`, `12.3k`, `4.56M`.
pub(crate) fn short(number: f64) -> String {
    let (value, unit) = match number {
        n if n < 999.5 => return if n < 9.95 && n.fract() > 0.05 { format!("{n:.1}") } else { format!("{n:.0}") },
        n if n < 999_500.0 => (n / 1e3, "k"),
        n if n < 999_500_000.0 => (n / 1e6, "M"),
        n => (n / 1e9, "G"),
    };
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$}{unit}")
}

/// Formats a duration: `850 ns`, `12.3 us`, `4.56 ms`, `1.20 s`.
pub(crate) fn nanos(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.2} s", value / 1e9),
    }
}

/// Formats a size: `512 B`, `64.0 KiB`, `1.5 MiB`.
pub(crate) fn bytes(size: u64) -> String {
    let value = size as f64;
    match size {
        0..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{:.1} KiB", value / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", value / 1_048_576.0),
        _ => format!("{:.1} GiB", value / 1_073_741_824.0),
    }
}

/// Formats the used part of a maximum, in the unit of the maximum: `1.1/64 MiB`.
pub(crate) fn part_of(used: u64, cap: u64) -> String {
    let (size, unit) = match cap {
        0 => return bytes(used),
        1..1_024 => (1.0, "B"),
        1_024..1_048_576 => (1_024.0, "KiB"),
        1_048_576..1_073_741_824 => (1_048_576.0, "MiB"),
        _ => (1_073_741_824.0, "GiB"),
    };
    let short = |bytes: u64| format!("{:.1}", bytes as f64 / size).trim_end_matches(".0").to_owned();
    format!("{}/{} {unit}", short(used), short(cap))
}

/// Formats a measured share as a percentage: `1.020 %`. A share above 0 never shows as 0, one below 1 never as 100 %.
pub(crate) fn percent(share: f64) -> String {
    const LEAST: f64 = 0.000_01;
    match share {
        share if share > 0.0 && share < LEAST => "<0.001 %".to_owned(),
        share if share < 1.0 && share > 1.0 - LEAST => ">99.999 %".to_owned(),
        share => format!("{:.3} %", share * 100.0),
    }
}

/// Formats a chosen share as a percentage: `10 %`, `12.5 %`.
pub(crate) fn portion(share: f64) -> String {
    let percent = format!("{:.3}", share * 100.0);
    format!("{} %", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// Formats the time before `now`, both Unix milliseconds: `3m12s ago`.
pub(crate) fn ago(unix_ms: u64, now: u64) -> String {
    format!("{} ago", since(now.saturating_sub(unix_ms)))
}

/// Returns the current Unix time in milliseconds.
pub(crate) fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Formats a time since a start: `850ms`, `42s`, `3m12s`, `2h05m`, `3d04h`.
pub(crate) fn since(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.4, 12.0, 999.4, 999.6, 12_345.0, 999_499.0, 999_501.0, 4.5e9].map(short),
            ["0", "0.4", "12", "999", "1.00k", "12.3k", "999k", "1.00M", "4.50G"]
        );
        assert_eq!([850, 12_300, 4_560_000, 1_200_000_000].map(nanos), ["850 ns", "12.3 us", "4.6 ms", "1.20 s"]);
        assert_eq!([512, 65_536, 1_572_864].map(bytes), ["512 B", "64.0 KiB", "1.5 MiB"]);
        assert_eq!([850, 42_000, 192_000, 7_500_000, 273_600_000].map(since), ["850ms", "42s", "3m12s", "2h05m", "3d04h"]);
    }

    #[test]
    fn few_are_not_none_and_nearly_all_are_not_all() {
        assert_eq!(
            [0.0, 1e-9, 0.000_011, 0.0102, 0.5, 0.999_995, 1.0].map(percent),
            ["0.000 %", "<0.001 %", "0.001 %", "1.020 %", "50.000 %", ">99.999 %", "100.000 %"]
        );
        assert_eq!([0.1, 1.0, 0.125].map(portion), ["10 %", "100 %", "12.5 %"]);
    }

    #[test]
    fn what_is_used_is_said_in_the_unit_of_what_there_may_be() {
        let sizes = [(1_153_434, 64 << 20), (0, 64 << 20), (512, 1_024), (3, 0), (1 << 30, 3 << 29)];
        assert_eq!(sizes.map(|(used, cap)| part_of(used, cap)), ["1.1/64 MiB", "0/64 MiB", "0.5/1 KiB", "3 B", "1/1.5 GiB"]);
    }

    #[test]
    fn a_sheet_aligns_its_values_and_a_value_cannot_escape() {
        let lines = [("name", "a\x1b[2J".to_owned()), ("digest", "1\n2".to_owned())];
        assert_eq!(sheet(lines), "name    a\u{fffd}[2J\ndigest  1\n        2\n");
    }

    #[test]
    fn columns_align_and_a_cell_cannot_escape() {
        let table = columns(
            &[("NAME", Align::Left), ("ROWS", Align::Right)],
            [vec!["a\x1b[31m".to_owned(), "7".to_owned()], vec!["bb".to_owned(), "1,234".to_owned()]],
        );
        assert_eq!(table, "NAME     ROWS\na\u{fffd}[31m      7\nbb      1,234\n");
    }
}
