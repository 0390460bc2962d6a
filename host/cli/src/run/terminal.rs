//! The terminal while it shows the live table; restored however the process ends.

use std::io::{self, Write};
use std::sync::Mutex;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen,
};
use crossterm::{execute, queue};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The keyboard's settings before the screen was taken; set while it is.
static BEFORE: Mutex<Option<Option<Termios>>> = Mutex::new(None);

/// The alternate screen of the terminal on standard error. Dropping it restores the old screen; so does a panic.
#[derive(Debug)]
pub(super) struct Terminal(());

// === impl Terminal ===

impl Terminal {
    /// Switches to the alternate screen.
    pub(super) fn enter() -> io::Result<Self> {
        let keyboard = tcgetattr(io::stdin()).ok();
        if let Some(before) = &keyboard {
            let mut silent = before.clone();
            // Without echo, because typed keys would appear in the table. Ctrl-C and Ctrl-Z still work: ISIG stays.
            silent.local_modes.remove(LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        }
        if let Ok(mut place) = BEFORE.lock() {
            *place = Some(keyboard);
        }
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        let screen = Self(());
        execute!(io::stderr(), EnterAlternateScreen, Hide, DisableLineWrap, Clear(ClearType::All))?;
        Ok(screen)
    }

    /// Returns columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
        (width.into(), height.into())
    }

    /// Redraws all lines in one write: nothing is cleared first, which would flicker.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        // A thread that panicked has restored the screen for its message, which stays.
        if BEFORE.lock().is_ok_and(|before| before.is_none()) {
            return Ok(());
        }
        let mut stderr = io::BufWriter::new(io::stderr().lock());
        queue!(stderr, BeginSynchronizedUpdate)?;
        for (row, line) in lines.iter().enumerate() {
            queue!(stderr, MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX)))?;
            stderr.write_all(line.as_bytes())?;
            queue!(stderr, Clear(ClearType::UntilNewLine))?;
        }
        if !lines.is_empty() {
            queue!(stderr, Clear(ClearType::FromCursorDown))?;
        }
        queue!(stderr, EndSynchronizedUpdate)?;
        stderr.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the screen and the keyboard; only once.
pub(super) fn restore() {
    let Some(keyboard) = BEFORE.lock().ok().and_then(|mut before| before.take()) else {
        return;
    };
    let _ = execute!(io::stderr(), EndSynchronizedUpdate, EnableLineWrap, Show, LeaveAlternateScreen);
    if let Some(before) = keyboard {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}
