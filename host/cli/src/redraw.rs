//! A table that is redrawn in place while it is watched.

use std::io::{self, IsTerminal, Write};

use crossterm::cursor::MoveToPreviousLine;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType};

use crate::exit::Failure;

/// Returns the columns of standard output if it is a terminal.
pub(crate) fn width() -> Option<usize> {
    let terminal = io::stdout().is_terminal();
    terminal.then(crossterm::terminal::size).and_then(Result::ok).map(|(width, _)| width.into())
}

/// Writes a table over the one before it on a terminal, otherwise below it. Returns the number of lines to overwrite next time: lines that
/// have scrolled away cannot be, so every table but the last is cut to the height of the screen.
pub(crate) fn draw(table: &str, drawn: u16, last: bool) -> Result<u16, Failure> {
    let mut stdout = io::stdout().lock();
    if drawn > 0 {
        queue!(stdout, MoveToPreviousLine(drawn), Clear(ClearType::FromCursorDown))?;
    }
    if last || !stdout.is_terminal() {
        stdout.write_all(table.as_bytes())?;
        stdout.flush()?;
        return Ok(0);
    }
    let (_, height) = crossterm::terminal::size().unwrap_or((80, 24));
    let room = height.saturating_sub(1);
    for line in table.lines().take(room.into()) {
        writeln!(stdout, "{line}")?;
    }
    stdout.flush()?;
    Ok(u16::try_from(table.lines().count()).unwrap_or(u16::MAX).min(room))
}
