//! Lines on a terminal that are redrawn in place.

use std::io::{self, Write as _};

use super::output::Output;
use crate::process::failure::Failure;

/// The number of rows on a terminal of unknown height.
const ROWS: usize = 20;

/// The lines that are on the terminal.
#[derive(Debug, Default)]
pub(crate) struct Redraw {
    /// The number of lines of the last frame.
    drawn: usize,
    /// The width of the last frame.
    width: Option<usize>,
}

/// The height of the terminal, in lines.
pub(crate) fn height() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(_, height)| usize::from(height.0))
}

/// The number of rows that fit on a terminal below some other lines, such as titles. At least one.
pub(crate) fn rows_below(lines: usize, height: Option<usize>) -> usize {
    // One line is for the cursor: a table that scrolls can't be redrawn.
    height.map_or(ROWS, |height| height.saturating_sub(lines + 1).max(1))
}

impl Redraw {
    /// The text that replaces the last frame by these lines.
    pub(crate) fn frame(&mut self, lines: &[String], out: &Output) -> String {
        let back = match (self.drawn, self.width == out.width()) {
            (0, _) => String::new(),
            (drawn, true) => format!("\x1b[{drawn}A\x1b[J"),
            // The terminal has wrapped the lines differently.
            (_, false) => "\x1b[H\x1b[2J".to_owned(),
        };
        (self.drawn, self.width) = (lines.len(), out.width());
        // Long lines are cut, as a wrapped row could not be redrawn.
        format!("{back}\x1b[?7l{}\r\n\x1b[?7h", lines.join("\r\n"))
    }

    /// Makes the next frame replace the whole screen, after its size has changed.
    pub(crate) fn clear(&mut self) {
        self.width = None;
    }

    /// Replaces the last frame by these lines.
    pub(crate) fn draw(&mut self, lines: &[String], out: &Output) -> Result<(), Failure> {
        let frame = self.frame(lines, out);
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(frame.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::io("cannot write to standard output", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_the_height_of_the_terminal() {
        for (height, rows) in [(Some(10), 6), (Some(4), 1), (Some(1), 1), (None, 20)] {
            assert_eq!(rows_below(3, height), rows, "{height:?}");
        }
    }
}
