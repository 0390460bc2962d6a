//! Colours by role, if the reader is a terminal that supports them; the text is complete without.

use std::env;
use std::io::{self, IsTerminal, Write};

use crate::printable::printable;

/// The role of a piece of text, which sets its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Headings and names.
    Strong,
    /// Less important.
    Faint,
    /// Normal.
    Good,
    /// Needs attention.
    Attention,
    /// An error.
    Bad,
}

/// Whether colours may be used on a stream, by <https://no-color.org> and TERM.
pub(crate) fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && wants_colour(env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref())
}

fn wants_colour(no_color: Option<&std::ffi::OsStr>, term: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(std::ffi::OsStr::is_empty) && term.is_some_and(|term| term != "dumb")
}

/// Returns the text in the colour of its tone.
pub(crate) fn paint(coloured: bool, tone: Tone, text: &str) -> String {
    if !coloured {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Strong => "1",
        Tone::Faint => "2",
        Tone::Good => "32",
        Tone::Attention => "33",
        Tone::Bad => "31;1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Prints an error and its cure. Text from other sources is made printable.
pub(crate) fn error(message: &str, cure: Option<&str>) {
    say(Tone::Bad, "error", message);
    if let Some(cure) = cure {
        say(Tone::Good, "hint", cure);
    }
}

/// Prints a note.
pub(crate) fn note(message: &str) {
    say(Tone::Attention, "note", message);
}

/// Prints a line without a label on standard error.
pub(crate) fn plain(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line));
}

/// Prints a labelled line on standard error. A failed write must not fail the command.
fn say(tone: Tone, label: &str, message: &str) {
    let stderr = io::stderr();
    let label = paint(coloured(&stderr), tone, &format!("{label}:"));
    let mut lines = message.lines().map(printable);
    let mut text = format!("{label} {}\n", lines.next().unwrap_or_default());
    lines.for_each(|line| text.push_str(&format!("  {line}\n")));
    let _ = stderr.lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn no_color_and_a_dumb_terminal_mean_no_colours() {
        let xterm = Some(OsStr::new("xterm"));
        assert!(wants_colour(None, xterm));
        assert!(wants_colour(Some(OsStr::new("")), xterm));
        assert!(!wants_colour(Some(OsStr::new("1")), xterm));
        assert!(!wants_colour(None, Some(OsStr::new("dumb"))));
        assert!(!wants_colour(None, None));
    }

    #[test]
    fn without_colours_text_stays_as_it_is() {
        assert_eq!(paint(false, Tone::Bad, "lost"), "lost");
        assert_eq!(paint(true, Tone::Bad, "lost"), "\x1b[31;1mlost\x1b[0m");
    }
}
